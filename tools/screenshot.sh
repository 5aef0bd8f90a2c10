#!/bin/sh
# The picture in the README: the first screen of a built chapter, in assets/book.png.
set -eu
cd "$(dirname "$0")/.."
mkdir -p docs
"${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$(mktemp -d)" \
  --window-size=1280,1060 --virtual-time-budget=5000 --screenshot=assets/book.png \
  "file://$PWD/_build/html/chapters/${1:-status-quo}.html"
