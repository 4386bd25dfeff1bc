.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench bench-sdk lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(VENV)/demo.installed ## Run the demo shop with its answers (ONCE=1: check them and stop)
	@$(BIN)/shopscope demo $(if $(ONCE),--once)

test: $(VENV)/dev.installed ## Run all tests
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/dev.installed ## Check style, types and the lock
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/dev.installed ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/dev.installed ## Measure the budgets
	@$(BIN)/python bench/store.py
	@$(BIN)/python bench/answers.py

bench-sdk: $(BENCH)/bench.installed ## Measure what the SDK costs, beside other agents
	@$(BENCH)/bin/python bench/sdk/run.py $(ARGS)

generate: $(VENV)/dev.installed ## Renew what is generated from the code
	@$(BIN)/python -m shopscope_ops.reference

lock: $(VENV)/dev.installed ## Renew the locked requirements from pyproject.toml
	@$(BIN)/pip install --quiet uv
	@for set in demo dev bench; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
			--prerelease if-necessary-or-explicit --extra demo --group $$set pyproject.toml --output-file requirements/$$set.txt; \
	done

clean: ## Remove the environment and caches
	rm -rf $(VENV) $(BENCH) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A marker newer than what it was made from; half an installation leaves no marker.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"shopscope needs Python 3.11 or newer: {sys.version.split()[0]}; run make PYTHON=python3.12")'
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@echo "Installing requirements/$*.txt into $(1) ..."
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/$*.txt
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)/%.installed: requirements/%.txt pyproject.toml
	$(call install,$(VENV))

# An environment of its own, because the agents that are compared pin each other's versions.
$(BENCH)/%.installed: requirements/%.txt pyproject.toml
	$(call install,$(BENCH))
