# make demo and make test are all that a new user needs; both set up what they need first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.headrace-ready

.PHONY: help setup demo test unit check bench soak package docs lock clean

help:            ## list the targets
	@grep -hE '^[a-z]+: .*##|^[a-z]+: +##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

setup: $(READY)  ## .venv with the pinned packages, and Kafka's jars

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"headrace needs Python 3.11 or later, this is {v[0]}.{v[1]}: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages (about 450 MB to download the first time, and then about 50 MB of Kafka's jars) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m headrace.embedded.jars
	@$(BIN)/python -m headrace.embedded.training
	@touch $@

demo: setup      ## start the line, drop real files, show what came of them
	@$(BIN)/headrace demo

# A worker a core: with three, lines start so slowly that waits run out. tests/conftest.py says which tests stay together.
test: setup      ## the whole test suite against the embedded services
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

unit: setup      ## the tests that need no service
	@$(BIN)/python -m pytest -m "not stack"

check: setup     ## every gate that CI has, without the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup     ## rows a second beside the wire floor and a naive version
	@$(BIN)/python -m benchmarks

soak: setup      ## 20 kills of every process, 2 of every two together, the whole demo; HEADRACE_SEED and HEADRACE_SOAK_KILLS change it
	@$(BIN)/python -m pytest -m soak -o timeout=7200 tests/failure tests/e2e

package: setup   ## build sdist and wheel, install them in a clean environment and start that
	@rm -rf build/clean dist
	@$(BIN)/python -m build --no-isolation > /dev/null
	@$(PYTHON) -m venv build/clean
	@build/clean/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@build/clean/bin/python -m pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	@cd build && clean/bin/headrace --version && clean/bin/headrace contract lint ../schemas/contracts/flights.odcs.yaml
	@rm -rf build/clean

docs: setup      ## make docs/guide/reference.md, events.md, checks.md, models.md and metrics.md from the code
	@$(BIN)/python -m headrace.cli.reference
	@$(BIN)/python -m headrace.cli.event_page
	@$(BIN)/python -m headrace.cli.check_page
	@$(BIN)/python -m headrace.cli.model_page
	@$(BIN)/python -m headrace.cli.dashboard_files
	@$(BIN)/python -m headrace.cli.metric_page

lock:            ## pin requirements.lock anew from pyproject.toml
	@$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/python -m pip install --quiet uv
	@$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra dev pyproject.toml -o requirements.lock

clean:           ## remove the environment and every generated file; data/ stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
