# Two commands do everything, set-up included: `make demo` and `make test`.
# A C compiler and a GPU are not needed. PYTHON picks the interpreter (3.11 or newer).
PYTHON ?= python3
VENV   ?= .venv
# gpu extra instead of cpu: `make test EXTRA=gpu`
EXTRA  ?= cpu
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready-$(EXTRA)
DEMO   ?= demo

.PHONY: demo test lint types unit clean

demo: $(READY)
	$(BIN)/itkm synth --people 100 --test-people 50 --images 4 --out $(DEMO)/people
	$(BIN)/itkm ingest --as synthetic $(DEMO)/people --out $(DEMO)/corpus
	$(BIN)/itkm run --corpus $(DEMO)/corpus --out $(DEMO)/run

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# Two processes, as tests that start Ray wait for it half of their time.
unit: $(READY)
	$(BIN)/python -m pytest -m "not gpu" -n 2 --no-loadscope-reorder

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "itkm needs Python >= 3.11; $(PYTHON) is older. Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "Installing itkm and what it needs into $(VENV) (several GB with PyTorch; a few minutes, once)"
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRA),test,dev]'
	@touch $@

clean:
	rm -rf $(VENV) $(DEMO)
