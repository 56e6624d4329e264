# Two commands do everything, installation included: `make demo` and `make test`. Neither needs a C compiler or a
# GPU. PYTHON is the interpreter to use (3.11 or newer).
PYTHON ?= python3
VENV   ?= .venv
# With the extra `gpu` instead of `cpu`: make test EXTRA=gpu
EXTRA  ?= cpu
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready-$(EXTRA)
PIP    := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
DEMO   ?= demo

.PHONY: demo test test-oldest lint types unit clean

demo: $(READY)
	@$(BIN)/itkm synth --people 100 --test-people 50 --images 4 --out $(DEMO)/people
	@$(BIN)/itkm ingest --as synthetic $(DEMO)/people --out $(DEMO)/corpus
	@$(BIN)/itkm run --corpus $(DEMO)/corpus --out $(DEMO)/run

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# A run of the tests starts hundreds of Python processes, each of which would compile the packages anew.
unexport PYTHONDONTWRITEBYTECODE

# Each process may run a Ray of its own beside it, and Ray gives itself 30 seconds to start: no more than two.
unit: $(READY)
	$(BIN)/python -m pytest -m "not gpu" -n 2 --no-loadscope-reorder

# With the oldest version of every dependency that pyproject.toml allows, in an environment of its own.
OLDEST := $(VENV)-oldest
test-oldest: $(OLDEST)/.ready
	$(OLDEST)/bin/python -m pytest -m "not gpu" -n 2 --no-loadscope-reorder

$(OLDEST)/.ready: pyproject.toml tests/oldest.py
	@$(PYTHON) -m venv $(OLDEST)
	@$(PYTHON) tests/oldest.py > $(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(OLDEST)/constraints.txt \
	  -e '.[cpu,report,test]'
	@touch $@

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "itkm needs Python 3.11 or newer, and $(PYTHON) is older. Try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing itkm into $(VENV): several GB with PyTorch, a few minutes, only once"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade pip
	@$(PIP) -e '.[$(EXTRA),test,dev]'
	@touch $@
	@echo "Installed: $(BIN)/itkm"

clean:
	rm -rf $(VENV) $(OLDEST) $(DEMO)
