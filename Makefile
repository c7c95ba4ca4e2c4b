# The commands of this project. `make` alone lists them.
# A machine needs Python 3.11 or newer (with venv) and make; the rest is installed into .venv.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

# Processes that run tests: most of a test's time is waiting.
WORKERS := 2

# The first Python here that is new enough; choose another with `make demo PYTHON=/path/to/python`.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)

.DEFAULT_GOAL := help
.PHONY: help demo test check audit bench soak wheel setup setup-dev lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## Watch a privacy request being carried out (ARGS=--once ends afterwards)
	@$(BIN)/habeas demo $(ARGS)

test: setup-dev ## Install what the tests need and run them all (ARGS=tests/unit for some)
	@scripts/install-test-needs.sh
	@$(BIN)/python -m compileall -q src # the tests start hundreds of processes, which may not write it themselves
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup-dev ## Lint, formatting, types, and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: ## Compare all that is pinned with the public list of known weaknesses (needs the network)
	@rm -rf build/audit && $(PYTHON) -m venv build/audit
	@build/audit/bin/pip install -q --disable-pip-version-check pip-audit
	@build/audit/bin/pip-audit --strict --no-deps --disable-pip -r requirements/dev.lock $(ARGS)
	@rm -rf build/audit

bench: setup-dev ## Compare with the same SQL written by hand
	@$(BIN)/python bench/run.py $(ARGS)

soak: setup-dev ## Kill the processes of a fleet for half an hour (ARGS="--minutes 5 --requests 1000")
	@scripts/install-test-needs.sh
	@PYTHONPATH=tests $(BIN)/python tests/crash/soak.py $(ARGS)

wheel: setup ## Build dist/habeas-*.whl, and the sdist
	@$(BIN)/python -m hatchling build

setup: $(VENV)/run.stamp ## Create .venv with the pinned runtime

setup-dev: $(VENV)/dev.stamp ## Add what tests and checks need

$(VENV)/run.stamp: requirements/run.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(NEW_ENOUGH)' || { \
		echo "Habeas needs Python 3.11 or newer: install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module: install it (Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install -r requirements/run.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.lock requirements/extras.lock
	@$(PIP) install -r requirements/dev.lock
	@touch $@

lock: ## Renew requirements/*.lock (with the oldest Python we support: PYTHON=python3.11)
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/pip install -q hatchling editables .
	@{ echo '# Runtime and build needs, pinned. Renew with `make lock`.'; \
		build/lock/bin/pip freeze --exclude habeas; } > requirements/run.lock
	@build/lock/bin/pip install -q -r requirements/run.lock '.[cluster,s3]'
	@{ echo '# What the extras need on top of the runtime, pinned. Renew with `make lock`.'; \
		build/lock/bin/pip freeze --exclude habeas | grep -vxFf requirements/run.lock; } > requirements/extras.lock
	@build/lock/bin/pip install -q -r requirements/run.lock -r requirements/extras.lock -r requirements/dev.in
	@{ echo '# Tests and checks, pinned, on top of the runtime and the extras. Renew with `make lock` (names in dev.in).'; \
		printf -- '-r run.lock\n-r extras.lock\n'; \
		build/lock/bin/pip freeze --exclude habeas | grep -vxFf requirements/run.lock | \
			grep -vxFf requirements/extras.lock; } > requirements/dev.lock
	@rm -rf build

clean: ## Remove what these commands made (not habeas-data)
	@rm -rf $(VENV) build dist demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
