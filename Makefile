# Every target works on a clean clone: what it needs is made on the way.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What a shell exports for a real account, or for an engine, must not reach the tests.
unexport AWS_ENDPOINT_URL AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_DEFAULT_REGION AWS_REGION

PYTHON := .venv/bin/python
# One process a core; tests of one group stay together.
PYTEST = $(PYTHON) -m pytest --numprocesses auto --dist loadgroup
BIN := .venv/bin
# sam finds pip and CPython 3.13 through the PATH.
SAM := PATH="$(CURDIR)/$(BIN):$$PATH" SAM_CLI_TELEMETRY=0 $(BIN)/sam
# Quickest first, the running stack last.
FAST_TESTS := $(wildcard tests/unit tests/contract tests/functions tests/adapters tests/workflow tests/sandbox)
ALL_TESTS := $(FAST_TESTS) $(filter-out $(FAST_TESTS) tests/e2e,$(patsubst %/,%,$(wildcard tests/*/))) $(wildcard tests/e2e)

.PHONY: help setup stack stack-down sam-local dashboard demo smoke test test-fast test-long test-api test-scale test-faults test-template soak bench lint format build docs costs baseline pr

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

setup: .local/setup/development .local/setup/engine .local/setup/node ## everything a fresh machine needs; quick when nothing changed

.local/setup/uv:
	@mkdir -p $(@D)
	@command -v uv >/dev/null || python3 -m pip install --quiet --user uv || python3 -m pip install --quiet --user --break-system-packages uv
	@touch $@

# A CPython 3.13 that is there already is taken: pyenv's or the system's. Otherwise uv fetches one.
PYENV := $(or $(PYENV_ROOT),$(HOME)/.pyenv)
CPYTHON := $(firstword $(wildcard $(PYENV)/versions/3.13*/bin/python3.13 /usr/local/bin/python3.13 /usr/bin/python3.13) 3.13)

define make_environment
	export PATH="$$HOME/.local/bin:$$PATH"; \
	test -x $(1)/bin/python || uv venv --quiet --seed --python $(CPYTHON) $(1); \
	uv pip install --quiet --python $(1)/bin/python --require-hashes --requirement $(2)
endef

.local/setup/development: requirements.txt | .local/setup/uv
	@echo "Installing the development environment"
	@$(call make_environment,.venv,requirements.txt)
	@touch $@

.local/setup/engine: requirements-engine.txt | .local/setup/uv
	@echo "Installing the local AWS engine"
	@$(call make_environment,.venv-engine,requirements-engine.txt)
	@touch $@

.local/setup/scan: requirements-scan.txt | .local/setup/uv
	@echo "Installing the scanners"
	@$(call make_environment,.venv-scan,requirements-scan.txt)
	@touch $@

# Not `npm ci`: it wants an optional dependency of the client in the lock file that no open registry has.
.local/setup/node: package.json package-lock.json
	@echo "Installing the published client and definitions"
	@mkdir -p $(@D)
	@npm install --no-save --omit=optional --silent --no-audit --no-fund
	@touch $@

stack: setup ## start the local AWS engine and the sandbox, deploy, seed
	@$(PYTHON) -m sandbox.stack up

stack-down: ## stop what `make stack` started
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m sandbox.stack down; fi

sam-local: stack ## invoke every function of events/ in a container, or one: EVENT=api/list_configs; DEBUG=1 waits for a debugger
	@$(PYTHON) -m tests.containers $(if $(DEBUG),--debug) $(EVENT)

dashboard: stack ## draw the dashboards from what the local functions have logged
	@$(PYTHON) -m sandbox.dashboards

demo: stack ## the main job, on the running stack
	@$(PYTHON) -m sandbox.demo

smoke: setup $(if $(filter-out local,$(ENV)),,stack) ## try a deployed hub and print a table: ENV=dev, see docs/deploy.md; without ENV the stack on this machine
	@$(PYTHON) -m sandbox.smoke --env $(or $(ENV),local)

test: setup ## all tests, those on the local stack included
	@HUB_SANDBOX_VALIDATE=1 $(PYTHON) -m sandbox.stack up
	@$(PYTEST) $(ALL_TESTS)

test-fast: setup ## the tests that need no running stack
	@$(PYTEST) $(FAST_TESTS)

test-long: setup ## the laws on 2,000 organisations and 2,000 histories each, every pattern and walker on 1 MB, a job that dies, and is late, at every I/O boundary, and 20,000 configs listed live
	@$(PYTEST) tests/unit/test_plan_laws.py tests/unit/test_history_laws.py tests/unit/test_growing_input.py tests/workflow/test_killed_jobs.py tests/workflow/test_large_listing.py -m "long or not long" --hypothesis-profile long

test-api: setup ## 8,000 random requests and chains of requests to the running stack, held against docs/openapi.json
	@HUB_SANDBOX_VALIDATE=1 $(PYTHON) -m sandbox.stack up
	@HUB_API_CASES=8000 $(PYTHON) -m pytest tests/e2e/test_api_properties.py

test-scale: stack ## 10,000 configs at 50 ms a downstream call: inventory, compare, delete job, and clear errors beyond
	@$(PYTHON) -m pytest tests/e2e/test_large_organisations.py -m long

test-template: setup ## the linter over the transformed template in all 64 combinations of its conditions
	@$(PYTEST) tests/contract/test_template_conditions.py -m "long or not long"

# Both on an engine of their own: one behind a whole `make test` keeps 14 GB of warm workers, and beside theirs 24 GB are not enough.
test-faults: setup ## 20 jobs of 200 rows while a tenth of all requests fails in every way, then the same with work done up to 60 s late, and one whose workers are killed
	@$(PYTHON) -m sandbox.stack down
	@HUB_SANDBOX_VALIDATE=1 $(PYTHON) -m sandbox.stack up
	@$(PYTHON) -m pytest tests/e2e/test_faults.py tests/e2e/test_killed_steps.py -m long --capture no

soak: setup ## 20 jobs of 200 rows, six at a time, amid a thousand faults of APIs, DynamoDB, S3, KMS and killed workers
	@$(PYTHON) -m sandbox.stack down
	@HUB_SANDBOX_VALIDATE=1 $(PYTHON) -m sandbox.stack up
	@$(PYTHON) -m pytest tests/e2e/test_soak.py -m long --capture no

bench: setup ## the benchmarks, on the running stack: prints a table, writes .local/bench.json
	@HUB_SANDBOX_VALIDATE=0 $(PYTHON) -m sandbox.stack up
	@$(PYTHON) -m tests.bench

lint: setup ## ruff, mypy, cfn-lint, sam validate
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/cfn-lint template.yaml
	@$(SAM) validate --lint --region eu-central-1

scan: setup .local/setup/scan ## bandit, checkov and licences; what is excepted and why is in tests/scan.toml
	@$(PYTHON) -m tests.scan

audit: .local/setup/scan ## known vulnerabilities of the locked versions; asks PyPI and fails where it does not answer
	@for lock in layers/dependencies/requirements.txt requirements.txt requirements-engine.txt; do \
	  echo "$$lock"; .venv-scan/bin/pip-audit --strict --disable-pip --require-hashes --requirement $$lock; done

format: setup ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

build: setup ## sam build
	@$(SAM) build

docs: setup ## write the generated pages under docs/
	@$(PYTHON) -m docs.generate

costs: stack ## count on the running stack what AWS would bill: writes docs/costs.json, from which docs/costs.md is made
	@$(PYTHON) -m tests.bench.costs
	@$(PYTHON) -m docs.generate

baseline: setup ## record which resources hold state, when one was added or is given up on purpose
	@$(PYTHON) -m tests.transformed

pr: lint scan build test ## what has to pass before a change is proposed
