# Two commands set everything up on a fresh machine: `make demo` and `make test`.
# Both make their own environment in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One compilation cache for the programs that tests start; kept between runs.
export TALWEG_COMPILE_CACHE ?= $(CURDIR)/.cache/compiled
# Where bytecode may not be written, every start compiles all modules again: a second each.
export PYTHONDONTWRITEBYTECODE :=
# Python compiles the modules that it imports; pip would compile all, for longer than it downloads.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile

.PHONY: demo test check format lint types doctest bench battery docs examples fuzz goldens parity node-test clean help

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "talweg needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip

$(VENV)/demo.done: $(BIN)/python pyproject.toml
	$(INSTALL) -e '.[data]'
	@touch $@

$(VENV)/dev.done: $(BIN)/python pyproject.toml
	$(INSTALL) -e '.[dev]'
	@touch $@

demo: $(VENV)/demo.done ## compare optimizers on the census income data, with a report
	$(BIN)/talweg compare examples/data/adult.csv.gz --target income --rows 6000 \
	  --epochs 10 --report report.html

test: $(VENV)/dev.done ## run the tests (10 minutes on 2 slow cores)
	$(BIN)/python -m pytest -n auto --dist loadfile -q -m 'not parity and not battery' $(ARGS)

check: format lint types test ## format, lint, types, tests

format: $(VENV)/dev.done ## check the format (fix it with `make format FIX=1`)
	$(BIN)/ruff format $(if $(FIX),,--check) .

lint: $(VENV)/dev.done ## lint (fix with `make lint FIX=1`)
	$(BIN)/ruff check $(if $(FIX),--fix,) .

types: $(VENV)/dev.done ## check the types
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/dev.done ## measure talweg beside its peers; those not installed are skipped
	$(BIN)/python -m benchmarks $(ARGS)

$(VENV)/peers.done: $(VENV)/dev.done
	$(INSTALL) 'torch==2.13.0' 'tensorflow-cpu>=2.20' \
		'pytorch_optimizer==4.1.0' schedulefree prodigyopt dadaptation
	# Keras 2 for its programs; by itself it would bring the whole of TensorFlow again.
	$(INSTALL) --no-deps 'tf_keras==2.21.*'
	@touch $@

battery: $(VENV)/dev.done ## all laws and all cases over everything (an hour)
	XLA_FLAGS= JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/python -m pytest -n auto --dist load -q -m battery $(ARGS)

docs: $(VENV)/dev.done ## write the galleries of docs/ again, pictures too (6 minutes)
	$(BIN)/python docs/schedules.py
	$(BIN)/python docs/optimizers.py

examples: $(VENV)/dev.done ## run all examples in full, record their scores and the table
	$(BIN)/python examples/record.py $(ARGS)

fuzz: $(VENV)/dev.done ## change files at random for SECONDS=120 and watch what opening them does
	$(BIN)/python tests/saving/fuzz.py $(or $(SECONDS),120)

goldens: $(VENV)/peers.done ## record again what the references answer
	for script in tests/goldens/make_*.py; do $(BIN)/python $$script || exit 1; done

parity: $(VENV)/peers.done ## compare with live torch and TensorFlow
	XLA_FLAGS= JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/python -m pytest -q -m parity $(ARGS)

node-test: $(VENV)/dev.done ## run an exported model in Node
	npm ci --prefix tests/export/node --ignore-scripts --no-audit --no-fund
	$(BIN)/python -m pytest -q tests/export/test_node.py

clean: ## remove the environment and what was built
	rm -rf $(VENV) .cache build dist *.egg-info
