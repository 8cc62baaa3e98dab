# make demo: the main job on the embedded default.   make test: tests and linters.
# Both set up .venv first, pinned by constraints.txt. Needed: Python 3.11 or newer, make, g++.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CPP := $(shell find hw_templates bitstreams tests -name "*.h" -o -name "*.cpp")

.PHONY: demo demo-small test lint unit zigzag clean
demo: $(READY)
	$(BIN)/codesign demo

demo-small: $(READY)
	$(BIN)/codesign demo --small

test: lint unit

unit: $(READY)
	$(BIN)/pytest -n auto --durations=25

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.toml
	$(BIN)/clang-format --dry-run --Werror $(CPP)

# torch first and by its exact version: a looser requirement may bring another, far larger build.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "codesign needs Python 3.11 or newer as $(PYTHON); name another with make PYTHON=..."; exit 1; }
	@command -v g++ >/dev/null || { echo "codesign needs g++ (Debian: apt-get install g++)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { echo "codesign needs Python's venv module (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[board,dashboard,dev,hls4ml,onnx,peers,train]'
	@touch $@

# The peer of benchmarks/mapping_search.py, in an environment of its own: it wants another numpy.
zigzag:
	$(PYTHON) -m venv .venv-zigzag
	.venv-zigzag/bin/pip install --quiet zigzag-dse==3.9.1 six==1.17.0

clean:
	rm -rf $(VENV) .venv-zigzag build *.egg-info
