# The one interface of the project: a person and CI run the same targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
CODE := src dags spark_apps plugins tests benchmarks
# Company networks often have a certificate authority of their own, which uv must take from the system.
export UV_SYSTEM_CERTS := 1

.PHONY: help setup demo up down status check fix test test-unit test-ledger test-spark test-dags \
        test-integration test-platform test-faults golden docs requirements clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: .venv/.complete ## make the Python environment from requirements.txt

.venv/.complete: requirements.txt requirements-uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 is needed and '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing): sudo apt-get install python3.11 python3.11-venv, then make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-uv.txt
	$(BIN)/uv pip sync --quiet --require-hashes requirements.txt requirements-uv.txt
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: setup ## set up, start the platform, run the daily analyses, show their results
	$(BIN)/millpond up
	$(BIN)/millpond demo

up: setup ## start the local platform
	$(BIN)/millpond up

down: setup ## stop the local platform; its data stays
	$(BIN)/millpond down

status: setup ## say what runs, and where
	$(BIN)/millpond status

check: setup ## formatter, linter, import rules, types: changes nothing
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m millpond.cli.reference --check

fix: setup ## let formatter and linter mend what they can
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

test: setup ## all tests, and how much of the library they reach
	$(BIN)/coverage erase
	$(MAKE) --no-print-directory test-unit test-ledger test-spark test-dags test-platform QUICK=1 \
	  PYTEST_FLAGS="--numprocesses=2 --dist=loadfile --cov=millpond --cov-append --cov-report= --cov-fail-under=0"
	$(BIN)/coverage report

test-unit: setup ## no JVM, no sockets
	$(BIN)/pytest $(PYTEST_FLAGS) tests/unit

test-ledger: setup ## the ledger on PostgreSQL, and the customer service over HTTP
	$(BIN)/pytest $(PYTEST_FLAGS) tests/ledger

test-spark: setup ## transformations in one local Spark session
	$(BIN)/pytest $(PYTEST_FLAGS) tests/spark

test-dags: setup ## DAGs parse, keep the conventions, submit the golden commands
	$(BIN)/pytest $(PYTEST_FLAGS) tests/dags

test-integration: setup ## the real platform, beside any other that runs
	$(BIN)/pytest $(PYTEST_FLAGS) tests/integration

# One platform for both kinds: a second one would take two minutes to start and to stop.
test-platform: setup
	$(BIN)/pytest $(PYTEST_FLAGS) tests/integration tests/faults $(if $(QUICK),--quick)

test-faults: setup ## faults injected into the real platform; CASE=n one of them, REPEAT=k each k times
	$(BIN)/pytest $(PYTEST_FLAGS) tests/faults $(if $(QUICK),--quick) $(if $(CASE),--case=$(CASE)) \
	  $(if $(REPEAT),--repeat=$(REPEAT))

golden: setup ## rewrite the golden spark-submit commands
	$(BIN)/pytest tests/dags --golden-refresh

docs: setup ## write the reference pages from the catalogue
	$(BIN)/python -m millpond.cli.reference

requirements: ## compile requirements.txt anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --python-version 3.11 --extra dev --generate-hashes \
	  --no-emit-index-url --no-annotate --custom-compile-command "make requirements" \
	  pyproject.toml --output-file requirements.txt
	echo "uv==0.13.9" | $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --custom-compile-command "make requirements" \
	  - --output-file requirements-uv.txt

clean: ## remove the environment, the jars and the local platform's data
	@[ ! -x $(BIN)/millpond ] || $(BIN)/millpond down
	rm -rf .venv .jars .millpond build
