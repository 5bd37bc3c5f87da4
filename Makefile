# Each target makes the environment it needs, inside this folder, and installs again when pyproject.toml changes.
#   make demo | test | test-slow | test-313 | bench | docs | lint | clean
# Variables: PYTHON (3.11 or later), PYTHON313, WORKERS, ARGS (passed on to pytest).

PYTHON ?= python3
PYTHON313 ?=
VENV ?= .venv
VENV313 ?= .venv313
WORKERS ?= 2
ARGS ?=

BIN := $(VENV)/bin
BIN313 := $(VENV313)/bin
PIP := -m pip --disable-pip-version-check install --quiet

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-313 bench docs lint clean

help:
	@sed -n '1,3s/^# //p' Makefile

demo: $(VENV)/.installed-plots
	$(BIN)/statespace demo --out demo-output

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-slow: $(VENV)/.installed-test
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/python -m pytest -n $(WORKERS) -m slow $(ARGS)

test-313: $(VENV313)/.installed-test
	@$(BIN313)/python -c 'import arviz, jax, sys; print("Python", sys.version.split()[0], "jax", jax.__version__, "arviz", arviz.__version__)'
	$(BIN313)/python -m pytest -n $(WORKERS) $(ARGS)

bench: $(VENV)/.installed-test
	@set -e; for script in benchmarks/[!_]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: $(VENV)/.installed-test $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest -q tests/test_imports.py

clean:
	rm -rf demo-output site dist build .pytest_cache .ruff_cache .jax_cache $(VENV) $(VENV313)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "'$(PYTHON)' is not Python 3.11 or later: name one with 'make PYTHON=...'" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(VENV)/.made
	@echo "installing statespace with its extra '$*' into $(VENV) (the first time takes a minute or two)"
	$(BIN)/python $(PIP) -e '.[$*]'
	@touch $@

# Python 3.13 from the PATH, else from pyenv where there is one; `python3.13 -c ''` sees through pyenv's shims.
$(VENV313)/.made:
	@python="$(PYTHON313)"; \
	if [ -z "$$python" ] && python3.13 -c '' 2>/dev/null; then python=python3.13; fi; \
	if [ -z "$$python" ] && prefix=$$(pyenv prefix 3.13 2>/dev/null); then python="$$prefix/bin/python3.13"; fi; \
	if [ -z "$$python" ]; then \
	  echo "no Python 3.13 found on the PATH or in pyenv: name one with 'make test-313 PYTHON313=...'" >&2; exit 1; fi; \
	set -x; "$$python" -m venv $(VENV313)
	@touch $@

$(VENV313)/.installed-test: pyproject.toml | $(VENV313)/.made
	@echo "installing the newest JAX and ArviZ into $(VENV313) (takes a few minutes)"
	$(BIN313)/python $(PIP) --upgrade --upgrade-strategy eager -e '.[test]' 'arviz>=1'
	@touch $@
