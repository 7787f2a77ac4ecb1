# Every target says what it does while it does it; a second run reuses what the first one made.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PY := .venv/bin/python
WORKERS ?= 2
ARGS ?=

.PHONY: help setup demo up test check static format format-check lint types contracts house unit lock audit test-diarization bench bench-long clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

setup: ## the virtual environment, from locked and hashed requirements (PYTHON=... to choose the interpreter)
	@scripts/setup

demo: setup ## transcribe the bundled recording with the best engine this machine can have
	@scripts/servers temporal
	@echo "demo: transcribing the bundled recording"
	@$(PY) scripts/demo.py $(ARGS)

up: setup ## Tiro on this machine: API, workers, Temporal with its UI (ARGS="--data DIR --port 8080")
	@scripts/servers temporal
	@exec .venv/bin/tiro up $(ARGS)

test: setup ## all tiers of tests, on real servers (ARGS=... goes to pytest)
	@scripts/apt-for-tests
	@scripts/servers temporal versitygw express sdks
	@echo "test: all tiers, $(WORKERS) processes"
	@$(PY) -m pytest -n $(WORKERS) --dist loadgroup -m "not diarization" -q $(ARGS)

check: static unit ## what must hold before a commit: format, lint, types, contracts, sizes, the unit tier
	@echo "check: all holds"

static: format-check lint types contracts house ## check, without the unit tier

format-check: setup
	@echo "check: format"
	@.venv/bin/ruff format --check --quiet . || { echo "check: run 'make format'"; exit 1; }

lint: setup ## ruff's rules
	@echo "check: lint"
	@.venv/bin/ruff check --quiet .

types: setup ## mypy --strict
	@echo "check: types"
	@.venv/bin/mypy --no-error-summary

contracts: setup ## the stairs of the house, by import-linter
	@echo "check: import contracts"
	@found=$$(.venv/bin/lint-imports --no-logo 2>&1) || { echo "$$found"; exit 1; }

house: setup ## sizes, names, and what no tracked file may hold
	@echo "check: house rules"
	@$(PY) -m pytest -q --no-header -p no:cacheprovider tests/unit/test_house.py

unit: setup ## the unit tier alone
	@echo "check: unit tier"
	@$(PY) -m pytest -n $(WORKERS) --dist loadgroup -q tests/unit $(ARGS)

format: setup ## format and mend what ruff can mend
	@.venv/bin/ruff format --quiet .
	@.venv/bin/ruff check --quiet --fix . || true

lock: setup ## compile requirements/*.txt anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@scripts/lock $(ARGS)

audit: setup ## ask what holes are known in the locked packages (needs the package index; ARGS=... goes to pip-audit)
	@$(PY) scripts/audit.py $(ARGS)

test-diarization: ## the tests that need torch and pyannote.audio, in an environment of their own
	@scripts/setup .venv-diarization requirements/dev.txt requirements/diarization.txt
	@scripts/apt-for-tests
	@echo "test: diarization"
	@PYANNOTE_METRICS_ENABLED=0 .venv-diarization/bin/python -m pytest -q -m diarization $(ARGS)

bench: setup ## the short set of benchmarks, about a quarter of an hour on two cores (ARGS="--only one_file")
	@scripts/apt-for-tests
	@scripts/servers temporal
	@echo "bench: one script per figure; bench/README.md says what each is"
	@$(PY) -m bench $(ARGS)

bench-long: setup ## the benchmarks in full: most of a day
	@scripts/apt-for-tests
	@scripts/servers temporal
	@$(PY) -m bench --long $(ARGS)

clean: ## remove the environments and caches of this folder (built servers stay in the user's cache)
	rm -rf .venv .venv-diarization .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info build
