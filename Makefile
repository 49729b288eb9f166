# Two commands set everything up on a machine that has Python (3.11 to 3.14) and make:
#   make demo    install, then run the whole pipeline: pretraining on drawings, fine-tuning on real tissue
#   make test    install, then lint, type-check, and run the fast tests and the docstring examples
# and one the site: make docs writes build/docs/index.html
PYTHON ?= python3
BIN := .venv/bin
# One process per core, each test file in one: a file's fixtures are made once, and a worker holds over a gigabyte.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

# The browser of the site's tests, where there is none.
chromium:
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
		(apt-get update && apt-get install --yes --no-install-recommends chromium)

.PHONY: chromium demo test test-real test-all lint docs install clean

# One thread: for images this small a second one brings nothing. Threads that wait for each other cost ten times the
# time on a busy machine if they spin, and three times on a quiet one if they sleep.
demo: install
	OMP_NUM_THREADS=1 $(BIN)/python -m training demo

test: install lint
	$(PYTEST) -m "not real and not slow"

# On the real images in ../shared/real, or in MEDZOO_REAL.
test-real: install
	$(PYTEST) -m real

test-all: install lint
	$(PYTEST)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/check_markdown.py

docs: install
	$(BIN)/python docs/build.py

install: .venv/installed

# The stamp is written last: an interrupted installation is repeated, a finished one never.
.venv/installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'medzoo needs Python 3.11 or newer; run make PYTHON=python3.13')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --editable ".[dev,dicom,onnx,xls]"
	touch $@

clean:
	rm -rf .venv build demo work
