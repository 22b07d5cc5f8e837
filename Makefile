# Every target sets up by itself; a stamp makes the second run instant. Without make (Windows), run
#   python scripts/setup.py   and then   .venv\Scripts\python -m sample_data.demo
PYTHON ?= python3
BIN := .venv/bin
# One process a core (four at most, each holds torch), with one thread each.
TESTS := OMP_NUM_THREADS=1 RS_GEN_TEST_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4

.PHONY: setup demo test test-all lint docs qgis-plugin clean

setup:
	@$(PYTHON) scripts/setup.py

demo: setup
	@$(BIN)/python -m sample_data.demo

test: setup
	@$(TESTS) -m "not slow" $(PYTEST_ARGS)

test-all: setup
	@$(TESTS) $(PYTEST_ARGS)

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/pyright

docs: setup
	@$(BIN)/python scripts/reference.py
	@$(BIN)/python scripts/arcgis.py help

qgis-plugin:
	@$(PYTHON) scripts/qgis_plugin.py

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis demo
