# Everything runs in .venv, made with the packages for all of it by the first command.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DOCS := $(VENV)/.ready-docs

.PHONY: demo test test-oldest matrix lint dist docs docs-browser accuracy bench bench-gpu clean

demo: $(READY)
	@$(call notice,its line of the demo is)
	$(BIN)/python -m agnostic_lse demo

test: $(READY)
	@$(call notice,its tests are)
	$(BIN)/python -m pytest -n auto

# The estimators once more, with the oldest scikit-learn that they promise to work with; its own use of
# SciPy is what newer ones warn of.
test-oldest:
	$(PYTHON) -m venv $(VENV)-oldest
	@$(VENV)-oldest/bin/python -m pip install --quiet --disable-pip-version-check --editable . \
	  scikit-learn==1.6.1 'scipy<1.16' array-api-strict hypothesis ml_dtypes mpmath pandas polars \
	  pytest pytest-xdist
	$(VENV)-oldest/bin/python -m pytest -n auto tests/test_sklearn.py tests/test_classifiers.py \
	  tests/test_metaestimators.py tests/test_losses.py tests/test_mixtures.py \
	  -k 'not TestOtherPackages'

# Builds the site in docs/_build/html, each warning an error, follows its links, and runs all code that
# its pages and the docstrings show. Programs of the gallery fit small models, on which threads would
# wait for each other.
docs: $(READY_DOCS)
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -W --keep-going -j auto -b html docs docs/_build/html
	$(BIN)/python -m docs.site_links docs/_build/html
	$(BIN)/python -m pytest -n auto src tests/test_pages.py

# Opens every page of it in Chromium, which must be installed, and makes pictures of some.
docs-browser: docs
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	$(BIN)/python -m docs.browser docs/_build/html docs/_build/pictures

# Checks the wheel in environments of its own, on each Python that is installed, beside the oldest and
# the newest of what it needs: in a quarter of an hour.
matrix: $(READY)
	$(BIN)/python -m tests.packaging

# Measures the largest errors beside those of other libraries, in three quarters of an hour and 8 GB of memory.
accuracy: $(READY)
	$(BIN)/python -m tests.accuracy

# Times it beside other libraries, in a quarter of an hour for each number of threads and
# 8 GB of memory, and writes docs/speed.md.
bench: $(READY)
	@$(call notice,its times are)
	$(BIN)/python -m benchmarks.speed

# Needs CuPy and a GPU; PyTorch and JAX take part where they find it too.
bench-gpu: $(READY)
	$(BIN)/python -m benchmarks.gpu

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --offline --no-progress --quiet .github

# The wheel and the source distribution, as they are released: the former is made of the latter.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "agnostic_lse needs Python 3.11 or newer, and $(PYTHON) is not: name one with 'make PYTHON=...'."; \
	  exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), which takes a minute or two ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

$(READY_DOCS): $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf docs/_build docs/gallery docs/reference/generated docs/reference/backreferences
	rm -rf $(VENV) $(VENV)-oldest build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

notice = $(BIN)/python -c 'import torch' 2>/dev/null || \
  echo "PyTorch is not installed in $(VENV), so $(1) left out: to add it, install the build of your" \
  "choice with $(BIN)/pip, as PyTorch's 'Start Locally' page says (the default one is large)."
