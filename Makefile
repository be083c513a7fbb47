PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up
DBT := $(VENV)/dbt/.set-up
# What one of the tests' processes has compiled, the others need not, whatever the environment says;
# and for small frames polars' threads cost more than they do.
PYTEST := PYTHONDONTWRITEBYTECODE= POLARS_MAX_THREADS=1 $(BIN)/python -m pytest

.PHONY: setup demo dev test fast test-slow lint bench screenshots docs clean

setup: $(SETUP)

# Everything goes into .venv, at the versions of constraints.txt; done again when those change.
$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# In an environment of its own, within the first.
$(DBT): constraints-dbt.txt | $(SETUP)
	$(PYTHON) -m venv $(VENV)/dbt
	$(VENV)/dbt/bin/python -m pip install --quiet --disable-pip-version-check -r constraints-dbt.txt
	touch $@

## Deliver yesterday of a sandbox portal into ./demo/export, whatever .env says
demo: setup
	$(BIN)/hubspot-assets demo

## Sandbox portal and Dagster's UI over it, wired together in ./demo, whatever .env says
dev: setup
	$(BIN)/python -m hubspot_assets.dev

test: setup
	@$(MAKE) --no-print-directory -j 2 lint fast

fast: setup
	$(PYTEST) -n 3 --no-loadscope-reorder -m 'not slow'

test-slow: setup $(DBT)
	$(PYTEST) -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m hubspot_assets_tests.bench

## Pictures of Dagster's UI over a sandbox portal, into docs/images; needs Chromium
screenshots: setup
	$(BIN)/python -m hubspot_assets_tests.screenshots

## The page of the tables, and the site into .site
docs: setup
	$(BIN)/python -m hubspot_assets_tests.tables_page
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .site .pytest_cache .mypy_cache .ruff_cache *.egg-info
