# Every target sets up by itself; a stamp makes the second run instant. Without make (Windows), run
#   python scripts/setup.py   and then   .venv\Scripts\python -m sample_data.demo
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-all lint docs clean

setup:
	@$(PYTHON) scripts/setup.py

demo: setup
	@$(BIN)/python -m sample_data.demo

test: setup
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-all: setup
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

docs: setup
	@$(BIN)/python scripts/reference.py

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis demo
