# Every target installs what it needs into .venv; only Python 3.11 or later and make are wanted.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP_TOOLS := 7.6.2
PIP_AUDIT := 2.10.1
CYCLONEDX := 7.5.0

# Each process of the tests starts its own emulators, Google's as well: about 2 GiB.
TEST_PROCESSES := 4

# Real scenes for the model card, where they are beside the project.
REAL := $(wildcard ../shared/data/slovenia-s2-l1c ../shared/data/pyrenees-l1c-jp2)

.PHONY: help setup demo test soak check bench conformance docs model-card archive lock audit infra clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: .venv/dev ## Install everything for work on Verdure into .venv

demo: .venv/local ## Mask a synthetic region, or SCENES="FOLDER ...", and draw the results in out/
	$(BIN)/verdure demo $(if $(OUT),--out $(OUT)) $(foreach folder,$(SCENES),--scenes $(folder))

test: .venv/dev ## Run all tests; those that need Google's emulators are skipped where these are absent
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses $(TEST_PROCESSES) \
	  --dist loadfile --no-loadscope-reorder

soak: .venv/dev ## Run the long proofs: many moments of a kill, many orders of messages
	$(BIN)/python -m pytest -m soak

conformance: .venv/dev ## Ask the emulator what Earth Engine is published to answer, algorithm by algorithm
	$(BIN)/python -m pytest tests/emulator/conformance

check: .venv/dev ## Lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/bench ## Measure against baselines, all or ONLY=name; writes out/bench.json
	$(BIN)/python -m benchmarks $(ONLY)

docs: .venv/dev ## Make the table of algorithms in docs/emulator.md anew
	$(BIN)/python -m emulator.support docs/emulator.md

archive: .venv/local ## Write out/functions.zip: what Cloud Functions gets, the same bytes for the same sources
	$(BIN)/python -m cli.function_archive out/functions.zip

infra: archive ## Check the Terraform: format, plan, apply and destroy of stand-ins, its tests, checkov
	infra/check.sh

lock: .venv/dev ## Lock the deployed dependencies anew: requirements.lock, of requirements.txt and constraints.txt
	$(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet pip-tools==$(PIP_TOOLS)
	.venv/lock/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host -c constraints.txt -o requirements.lock requirements.txt

audit: ## Write out/sbom.json (CycloneDX) of what is deployed, and ask PyPI's advisories about all of it
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit==$(PIP_AUDIT) cyclonedx-bom==$(CYCLONEDX)
	mkdir -p out
	.venv/audit/bin/cyclonedx-py requirements --output-reproducible -o out/sbom.json requirements.lock
	.venv/audit/bin/pip-audit -r requirements.lock --disable-pip --strict

model-card: .venv/bench ## Make docs/model-card.md and its pictures anew, in some 15 minutes
	$(if $(REAL),$(BIN)/python -m benchmarks.real_scenes out/real)
	$(BIN)/verdure model card $(foreach folder,$(REAL) $(if $(REAL),out/real/australia),--scenes $(folder))

clean: ## Remove .venv and out
	rm -rf .venv out

.venv/local: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local]'
	@touch $@

.venv/bench: .venv/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,clouds]'
	@touch $@

.venv/dev: .venv/local
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
