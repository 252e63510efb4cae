# Python 3.11 (to 3.13) and make are all that is needed; `make` alone lists the targets.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
ifdef BUSINESS
export TAGLINE_BUSINESS := $(BUSINESS)
endif

.DEFAULT_GOAL := help
.PHONY: help .venv demo up spark test test-fast check lock bench bench-large clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

.venv: $(INSTALLED) ## Create .venv from the lock (once)

$(INSTALLED): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Tagline needs Python 3.11 to 3.13; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing the packages of requirements.txt into .venv; this takes a minute or two."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(INSTALLED) ## A real shop's customers, tagged by a real Airflow (ONCE=1: stop after the summary; BUSINESS=name)
	@exec $(BIN)/python -m tagline.servers demo $(if $(ONCE),--once)

up: $(INSTALLED) ## Start PostgreSQL, Airflow and MLflow for daily work (BUSINESS=name)
	@exec $(BIN)/python -m tagline.servers up

spark: $(INSTALLED) ## Add PySpark to .venv, for TAGLINE_ENGINE=spark://host:port; it needs Java 17
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-spark.txt

# threads of the learners that wait for each other by spinning take the processors from the others
test test-fast: export OMP_NUM_THREADS ?= 1
test test-fast: export OPENBLAS_NUM_THREADS ?= 1
test: $(INSTALLED) ## All tests, on real servers
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-fast: $(INSTALLED) ## The tests that need no server
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile

check: $(INSTALLED) ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: ## Compile requirements.txt and requirements-spark.txt from pyproject.toml
	@folder=$$(mktemp -d) && trap "rm -rf $$folder" EXIT && $(PYTHON) -m venv $$folder \
	&& $$folder/bin/pip install --quiet --disable-pip-version-check uv \
	&& $$folder/bin/uv pip compile --universal --python-version 3.11 --group dev --no-header \
		--quiet --output-file requirements.txt pyproject.toml \
	&& $(PYTHON) -c 'import tomllib; from pathlib import Path; \
		project = tomllib.loads(Path("pyproject.toml").read_text())["project"]; \
		print(*project["optional-dependencies"]["spark"], sep="\n")' > $$folder/spark.in \
	&& $$folder/bin/uv pip compile --universal --python-version 3.11 --no-header --no-annotate \
		--constraint requirements.txt --quiet --output-file requirements-spark.txt $$folder/spark.in

bench: $(INSTALLED) ## The standard benchmarks (ten minutes), then docs/performance.md
	$(BIN)/python -m benchmarks standard
	$(BIN)/python -m benchmarks report

bench-large: $(INSTALLED) ## The benchmarks of 12.5, 50 and 200 million events (hours, 35 GB)
	$(BIN)/python -m benchmarks large
	$(BIN)/python -m benchmarks report

clean: ## Remove caches and the environment; state in .tagline stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
