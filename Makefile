BIN ?= .venv/bin
PYTHON ?= python3

.PHONY: help
help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | \
		while IFS='|' read -r name text; do printf '  %-9s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: ## Make .venv with payonce, the demo's packages and the tools
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -e ".[demo,dev]"

.PHONY: check
check: lint types layers test heavy ## All of it: what has to pass before a commit is shown to others

.PHONY: test
test: ## Run all tests but the heavy ones, docs and their code blocks included
	$(BIN)/python -m pytest

.PHONY: heavy
heavy: ## Run the heavy tests (finding none is no failure)
	$(BIN)/python -m pytest -m heavy --dist=load || test $$? -eq 5

.PHONY: exam
exam: ## Take the exam of the journals, on SQLite and PostgreSQL
	$(BIN)/python -m pytest -m "heavy or not heavy" tests/journal

SEEDS ?= 1 2 3
RUNS ?= 500
.PHONY: chaos
chaos: ## Attack workers for long: make chaos SEEDS="1 2 3" RUNS=500
	CHAOS_SEEDS="$(SEEDS)" CHAOS_RUNS="$(RUNS)" $(BIN)/python -m pytest -n 0 -s -m "heavy or not heavy" \
		-o faulthandler_timeout=3600 tests/chaos tests/machine

.PHONY: capture
capture: ## Run all SDKs in environments of their own, kept in ~/.cache (takes minutes)
	$(BIN)/python -m pytest -n 0 -m capture -o faulthandler_timeout=600 tests/capture/sdks
	$(BIN)/python -m tests.capture.sdks.page

.PHONY: docs
docs: ## Run the code blocks of README and docs, and compare the docs with the code
	$(BIN)/python -m pytest tests/docs

.PHONY: lint
lint: ## Check the style and the formatting, change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: format
format: ## Format the code and mend what ruff can mend by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: types
types: ## Check the types
	$(BIN)/mypy

.PHONY: layers
layers: ## Check that no module imports a layer above its own
	$(BIN)/lint-imports

.PHONY: coverage
coverage: ## Run the tests and show which lines and branches none of them reached
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 0
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: bench
bench: ## Measure payonce beside its peers (takes minutes)
	@for script in steps scale stream preflight prices why; do \
		echo "== bench/$$script.py"; $(BIN)/python "bench/$$script.py" || exit 1; done

.PHONY: demo
demo: ## Tell the story of the accident, and its end
	$(BIN)/payonce demo

.PHONY: ci
ci: ## Run what the build machine runs, from fresh copies (takes minutes)
	.ci/run

.PHONY: clean
clean: ## Remove what the tools and the tests left; .venv stays
	rm -rf build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
