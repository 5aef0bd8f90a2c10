# make book | make test | make lab. Needed beforehand: Python 3.11 or newer with venv, git and make.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Python compiles what is imported, which is little of all that is installed, and keeps it, also where an image of
# Python says not to: a chapter's kernel and imports then start in about a third of the time.
export PYTHONDONTWRITEBYTECODE :=
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --no-compile
INSTALLED := $(VENV)/.installed
TORCH := $(VENV)/.torch
VENDORED := vendor/.fetched
CLEARED := _build/.cleared
BUILT := _build/.built

# The chapters multiply many small matrices, and run side by side: threads of BLAS cost more than they bring.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1
export VECLIB_MAXIMUM_THREADS ?= 1

# Matplotlib's list of fonts is made with the installation: one of the home folder may be half-written, or be
# made by several chapters at once, which then warn.
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib

.PHONY: book lint test browser benchmarks experiments lab chapters pdf links format requirements clean torch alone portable killed mutants package dist

# Execute the chapters whose outputs are not current, then build the site from the stored outputs.
book: chapters
	@$(MAKE) --no-print-directory --silent $(BUILT)
	@$(RUN) tools/archive.py
	@echo "Open file://$(CURDIR)/_build/html/index.html"

lint: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# Linter, formatter and type checker; then unit tests, doctests and every cell of every chapter, strictly. No test
# may need another: with SEED=7, or another number, all but the cells run in an order that the seed gives.
test: lint
	$(RUN) -m pytest -n 2 --dist loadscope --nbval --nbval-current-env --ignore tests/browser \
	  $(if $(SEED),--random-order-bucket global --random-order-seed $(SEED)) lrbs tests chapters $(wildcard assignments)

# PyTorch, an oracle of a few tests; they are left out, with a word at the end, where it is not installed.
torch: $(TORCH)

# Each file of tests by itself.
alone: $(INSTALLED)
	@for file in tests/test_*.py; do echo $$file; $(RUN) -m pytest --quiet --no-header $$file || exit 1; done

# Tests and chapters once for each kind of processor that this one can play, with one thread and with two.
portable: $(INSTALLED)
	$(RUN) -m tools.portable $(ONLY)

# Kills make book and make test at random moments, in a clone elsewhere; the next run must succeed.
killed: $(INSTALLED)
	$(RUN) -m tools.killed

# Break the formulas on purpose, one small change at a time: some test must fail for each.
mutants: $(INSTALLED)
	$(RUN) -m tools.mutate

# The package with whatever Python, NumPy and SciPy there are: stored outputs belong to the pinned ones.
PYTEST ?= $(RUN) -m pytest
PINNED := tests/browser tests/test_book.py tests/test_outputs.py tests/test_wheel.py
package:
	$(PYTEST) -n 2 --dist loadscope $(PINNED:%=--ignore %) lrbs tests

# What goes to PyPI: source and wheel.
dist: $(INSTALLED)
	@rm -rf dist
	$(RUN) -m build --no-isolation .

# Every page, figure and link of the built site in Chromium; skipped, with a word why, where there is none.
browser: book
	$(RUN) -m pytest -n 2 tests/browser

# The whole book in one file, _build/book.pdf, printed by Chromium.
pdf: book
	$(RUN) -m tools.pdf

# The runs behind the chapter on a transformer, those that are not recorded yet; a run that was killed goes on.
# An hour and a half on two cores from nothing: make experiments RESULTS=elsewhere
experiments: $(TORCH)
	$(RUN) -m experiments $(if $(RESULTS),--results $(RESULTS))

# How quick lrbs is, how heavy pages are, how quick figures follow their sliders, what the monitor costs.
benchmarks: book
	$(RUN) -m benchmarks.core
	$(RUN) -m benchmarks.pages
	$(RUN) -m benchmarks.slow_phone
	$(RUN) -m benchmarks.one_pass
	$(RUN) -m benchmarks.coursework
	@if $(RUN) -c 'import torch' 2>/dev/null; then $(RUN) -m benchmarks.monitor; \
	  else echo "left out: what the monitor costs (no PyTorch; make torch installs it)"; fi

# Whether the addresses of other hosts that the book names still answer. Needs a network.
links: $(VENDORED)
	$(VENV)/bin/jupyter-book build --builder linkcheck --path-output _build/links .

lab: $(INSTALLED)
	$(RUN) -m jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) chapters

chapters: $(INSTALLED)
	@$(RUN) -m tools.colab
	@$(RUN) -m tools.execute

format: $(INSTALLED)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# Choose the exact pins anew from the ranges in pyproject.toml. PyTorch has a file of its own, without what it
# needs: that is pinned by the other file, or depends on the build of PyTorch that a machine takes.
COMPILE := $(RUN) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-emit-index-url \
  --annotation-style line --custom-compile-command "make requirements"
requirements: $(INSTALLED)
	$(COMPILE) --extra book --extra cluster --extra test --extra dev --output-file requirements.txt pyproject.toml
	$(COMPILE) --extra torch --no-deps --no-emit-package numpy --no-emit-package scipy \
	  --output-file requirements-torch.txt pyproject.toml

clean:
	rm -rf _build dist node_modules vendor

# Done once, and again when the pins or the package's metadata change. Each stamp below stands for work that is
# complete: it is taken away before and put back after. Without it nobody knows how far a run that was killed
# had come, and the work is done from nothing.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; say where it is: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "This Python has no venv; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@test -e $@ || rm -rf $(VENV)
	@rm -f $@
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --requirement requirements.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@$(RUN) -c 'import matplotlib.font_manager'
	@touch $@

$(TORCH): $(INSTALLED) requirements-torch.txt
	@mv $(INSTALLED) $(INSTALLED).before
	$(INSTALL) --constraint requirements.txt --requirement requirements-torch.txt
	@mv $(INSTALLED).before $(INSTALLED)
	@touch $@

$(VENDORED): $(INSTALLED) package-lock.json tools/vendor.py
	$(RUN) tools/vendor.py
	@touch $@

$(BUILT): $(CLEARED) $(VENDORED) _config.yml _toc.yml $(wildcard chapters/* chapters/*/*) $(shell find lrbs -name '*.py')
	@test -e $@ || { rm -rf _build; mkdir _build; touch $(CLEARED); }
	@rm -f $@
	$(VENV)/bin/jupyter-book build -W -n --keep-going --quiet . || { rm -rf _build; exit 1; }
	@touch $@

# Sphinx builds anew only the pages whose text changed, and warns of nothing on the others. So a site
# that was built by other tools, in another style or with warnings, is cleared away.
$(CLEARED): $(INSTALLED) $(wildcard _ext/*.* assets/*)
	@rm -rf _build
	@mkdir -p $(@D)
	@touch $@
