# `make demo` and `make test` do everything on a machine with Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BACKENDS ?= jax torch tensorflow
WORKERS ?= 2
# `make test FAST=1`, for daily work: one backend, without what trains or builds large networks.
ifdef FAST
BACKENDS := torch
SELECT := -m "not slow"
endif
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test lint clean

demo: $(VENV)/demo.stamp
	KERAS_BACKEND=jax $(BIN)/python examples/demo.py

# Every backend in processes of its own, one per core; all run, and one failure fails the whole.
test: lint
	@failed=; for backend in $(BACKENDS); do \
	    echo "== KERAS_BACKEND=$$backend"; \
	    KERAS_BACKEND=$$backend OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 \
	        $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(SELECT) || failed="$$failed $$backend"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed on:$$failed"; exit 1; fi

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/demo.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[jax,plot]"
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[jax,torch,tensorflow,dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .ruff_cache .mypy_cache .hypothesis
