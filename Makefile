# make book | make test | make lab. Needed beforehand: Python 3.11 or newer with venv, git and make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
VENDORED := vendor/.fetched
CLEARED := _build/.cleared
BUILT := _build/.built

# The chapters multiply many small matrices, and run side by side: threads of BLAS cost more than they bring.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1
export VECLIB_MAXIMUM_THREADS ?= 1

.PHONY: book test browser benchmarks lab chapters pdf links format requirements clean

# Execute the chapters whose outputs are not current, then build the site from the stored outputs.
book: chapters
	@$(MAKE) --no-print-directory --silent $(BUILT)
	@$(RUN) tools/archive.py
	@echo "Open file://$(CURDIR)/_build/html/index.html"

# Linter, formatter and type checker; then unit tests, doctests and every cell of every chapter, strictly.
test: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -m pytest -n 2 --dist loadscope --nbval --nbval-current-env \
	  --ignore tests/browser lrbs tests chapters

# Every page, figure and link of the built site in Chromium; skipped, with a word why, where there is none.
browser: book
	$(RUN) -m pytest -n 2 --dist loadgroup tests/browser

# The whole book in one file, _build/book.pdf, printed by Chromium.
pdf: book
	$(RUN) -m tools.pdf

# How heavy pages are, how soon they show, how quick figures follow their sliders.
benchmarks: book
	$(RUN) -m benchmarks.pages

# Whether the addresses of other hosts that the book names still answer. Needs a network.
links: $(VENDORED)
	$(VENV)/bin/jupyter-book build --builder linkcheck --path-output _build/links .

lab: $(INSTALLED)
	$(RUN) -m jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) chapters

chapters: $(INSTALLED)
	@$(RUN) tools/colab.py
	@$(RUN) -m tools.execute

format: $(INSTALLED)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# Choose the exact pins anew from the ranges in pyproject.toml.
requirements: $(INSTALLED)
	$(RUN) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
	  --no-emit-index-url --annotation-style line --custom-compile-command "make requirements" \
	  --output-file requirements.txt pyproject.toml

clean:
	rm -rf _build dist node_modules vendor

# Done once, and again when the pins or the package's metadata change.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; say where it is: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "This Python has no venv; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENDORED): $(INSTALLED) package-lock.json tools/vendor.py
	$(RUN) tools/vendor.py
	@touch $@

$(BUILT): $(CLEARED) $(VENDORED) _config.yml _toc.yml $(wildcard chapters/*) $(shell find lrbs -name '*.py')
	$(VENV)/bin/jupyter-book build -W -n --keep-going --quiet . || { rm -rf _build; exit 1; }
	@touch $@

# Sphinx builds anew only the pages whose text changed, and warns of nothing on the others. So a site
# that was built by other tools, in another style or with warnings, is cleared away.
$(CLEARED): $(INSTALLED) $(wildcard _ext/*.py assets/*)
	@rm -rf _build
	@mkdir -p $(@D)
	@touch $@
