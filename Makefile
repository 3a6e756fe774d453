# `make demo` and `make test` do all the set-up themselves, on a bare machine with Python 3.11 or later:
# no root, no system package, no broker, no browser.  uv is used where it is present.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.infusor-ready

.PHONY: demo test lint bench setup lock clean help

help: ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## make .venv with everything locked by hash

$(STAMP): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("infusor needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.lock && \
	  uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python -e . ; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

demo: $(STAMP) ## a whole first ketamine visit on real serial bytes, 120 times as fast
	@$(BIN)/infusor demo

EXACT := gate quantities protocols.pumplink_host protocols.pumplink_device

test: $(STAMP) ## every test, after those that must cover gate, sessions and quantities to the last branch
	@$(BIN)/python -m pytest -q $(EXACT:%=--cov=firmware_bridge.%) --cov-branch --cov-report=term-missing --cov-fail-under=100 \
	  $(addprefix hil_tests/pure/firmware_bridge/, test_gate.py test_quantities.py test_pumplink_host.py test_pumplink_device.py test_pumplink_sessions.py test_pumplink_programs.py)
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup

lint: $(STAMP) ## formatter, rules, types, and who may import whom
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP) ## ratios against a floor or a peer measured in the same run
	@$(BIN)/python -m hil_tests.bench

lock: ## resolve the locks anew (needs uv); names, versions and hashes only
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements/dev.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra demo pyproject.toml -o requirements/demo.lock

clean: ## remove what was made
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
