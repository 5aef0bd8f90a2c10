"""Fonts for a second Chromium, which sets the pages narrower and lower than this machine's may be.

Debian's Chromium, left alone, sets pages in DejaVu, which is wide and high. URW's copies of Helvetica and
Courier, which come with Ghostscript, are narrow and low, and the pages of the PDF break elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.font_manager import findSystemFonts

SANS, MONO = "Nimbus Sans", "Nimbus Mono PS"
# Chromium asks for Arial where a page says sans-serif. DejaVu has the signs that URW's fonts lack.
CONFIGURATION = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>{urw}</dir>
  <dir>{dejavu}</dir>
  <cachedir>{cache}</cachedir>
  <match>
    <test name="family"><string>Arial</string></test>
    <edit name="family" mode="assign" binding="strong"><string>{sans}</string></edit>
  </match>
  <match>
    <test name="family"><string>monospace</string></test>
    <edit name="family" mode="assign" binding="strong"><string>{mono}</string></edit>
  </match>
</fontconfig>
"""


def configure(folder: Path) -> Path:
    """Write a configuration of fontconfig that has these fonts alone; FileNotFoundError without URW's."""
    urw = next(
        (Path(found).parent for found in findSystemFonts() if Path(found).name == "NimbusSans-Regular.otf"),
        None,
    )
    if urw is None:
        raise FileNotFoundError("there are no other fonts to try: install Debian's package fonts-urw-base35")
    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    file = folder / "fonts.conf"
    text = CONFIGURATION.format(urw=urw, dejavu=dejavu, cache=folder / "cache", sans=SANS, mono=MONO)
    file.write_text(text, encoding="utf-8")
    return file
