# Every target installs what it needs. On a machine with Python 3.11, git and make, start with `make demo`.
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv
# Compiled at setup: every run starts new interpreters, and PYTHONDONTWRITEBYTECODE or a read-only folder may prevent compilation later.
CODE := analysis_assets audit benchmarks cli dispatch domain engine examples explorer operations resources results results_table sensors tests definitions.py
PYTEST := $(BIN)/python -m pytest -n 3 --no-loadscope-reorder
LOCK := $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 pyproject.toml

.PHONY: help setup demo dev explore test test-all test-faults check docs screenshots site format lock audit-dependencies bench clean

help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## Install everything into .venv from the hashed requirement files.

.venv/.installed: requirements/dev.txt requirements/uv.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/uv.txt
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q $(CODE)
	@touch $@

demo: setup ## Run a demonstration on this machine: synthetic sessions, two analyses, results. DATA=folder uses your own NWB files.
	$(BIN)/analysis demo $(if $(DATA),--data "$(DATA)")

dev: setup ## Run the platform: Dagster with its UI, and embedded MongoDB and S3 where none is configured.
	$(BIN)/analysis dev

explore: setup ## Browse results: tables, plots, figures side by side, on port 3001.
	$(BIN)/analysis explore

test: setup ## Run the fast tests. ARGS="tests/domain -x" runs a part.
	$(PYTEST) -m "not slow" $(ARGS)

test-all: setup ## Run all tests with branch coverage. ARGS=tests/browser runs a part, without coverage.
	$(PYTEST) $(if $(ARGS),$(ARGS),--cov --cov-report=term)

test-faults: setup ## Inject every fault, try every order of live actors, and update docs/reliability.md. SCHEDULES=number, or SEED=seed for one.
	FAULTS=full $(if $(SEED),SEED=$(SEED),FAULTS_TABLE=docs/reliability.md) $(if $(SCHEDULES),SCHEDULES=$(SCHEDULES)) \
		$(BIN)/python -m pytest $(if $(SEED),tests/faults/test_schedules.py,tests/faults tests/interleaving) $(ARGS)

check: site ## Check format, style, types, layers, docstrings, spelling, documentation and definitions.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate .
	$(BIN)/codespell
	$(BIN)/dagster definitions validate --workspace workspace.yaml

docs: setup ## Update the tables in docs/analyses.md and the package diagram in CONTRIBUTING.md from the code.
	$(BIN)/python -m cli.tools.reference
	$(BIN)/python docs/import_graph.py

screenshots: setup ## Regenerate the images in docs/images in a real browser: about three minutes; needs Chromium.
	$(BIN)/python -m tests.browser.screenshots
	NOTEBOOK_IMAGES=docs/images $(BIN)/python -m pytest -q -p no:cacheprovider tests/test_notebook.py

site: setup ## Build the documentation as a website into site/; every warning is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

format: setup ## Format the code and apply automatic fixes.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## Regenerate the requirement files from pyproject.toml; UPGRADE=1 upgrades to the newest versions.
	$(LOCK) $(if $(UPGRADE),--upgrade) --all-extras --group dev --output-file requirements/dev.txt
	$(LOCK) --constraint requirements/dev.txt --output-file requirements/base.txt
	$(foreach extra,embedded explorer postgres ui,$(LOCK) --extra $(extra) --constraint requirements/dev.txt \
		--output-file requirements/$(extra).txt &&) true
	echo uv | $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--constraint requirements/dev.txt - --output-file requirements/uv.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 \
		$(if $(UPGRADE),--upgrade) requirements/peers.in --output-file requirements/peers.txt

audit-dependencies: setup ## Check the locked packages for known vulnerabilities; reports when the check could not run.
	$(BIN)/python -m cli.tools.audit_dependencies -r requirements/base.txt -r requirements/dev.txt $(ARGS)

bench: setup .venv-peers/.installed ## Measure speed and scale and write benchmarks/RESULTS.md. ONLY=a,b runs some sections; ARGS="--scale 0.1".
	$(BIN)/python -W ignore -m benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

.venv-peers/.installed: requirements/peers.txt | setup
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-peers
	$(UV) pip sync --quiet --python .venv-peers/bin/python --require-hashes requirements/peers.txt
	@touch $@

clean: ## Remove generated files; keep results and records of the embedded servers under .analysis/.
	rm -rf .venv .venv-peers site .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage *.egg-info
