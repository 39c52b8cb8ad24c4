# `make demo` shows it working, `make test` runs everything. See docs/development.md.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
DEV_LOCK := requirements-dev.lock
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11
# A hot module is one with a .pxd: after any change its compiled twin is stale.
PXD := $(shell find capture_agent hep -name '*.pxd')
HOT := $(PXD) $(wildcard $(PXD:.pxd=.py))
# One worker more than processors, because tests often wait. A module stays on one worker, with the servers it starts.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Mutants per entry point of the compiled core.
CASES ?= 20000
SEED ?= 1

# The Pythons that `make wheel` builds for.
PYTHONS ?= $(BIN)/python
# Tools that packages are built with come from the environment.
TOOLS := PATH="$(abspath $(BIN)):$$PATH"

.PHONY: help demo check test lint format lock test-lowest bench bench-instructions sanitize golden pcaps clean
.PHONY: sdist wheel deb soak
help:
	@echo "make demo         install, replay a capture to a small collector, show the calls"
	@echo "make check        lint and the quick tests of the compiled build, while you work"
	@echo "make test         install, then the whole suite, compiled and plain"
	@echo "make lint         ruff, mypy, import-linter"
	@echo "make format       let ruff format the code"
	@echo "make lock         pin the dependencies in pyproject.toml, also those for development"
	@echo "make test-lowest  run the suite with the lowest versions that pyproject.toml allows"
	@echo "make bench        measure speed, compared with the physical limit and installed programs"
	@echo "make bench-instructions  rewrite benchmarks/instructions.json, which tests compare with"
	@echo "make soak         15 minutes of live capture: memory stays flat, no counter drifts"
	@echo "make sanitize     run mutants and tests under AddressSanitizer and UndefinedBehaviorSanitizer: CASES=20000 SEED=1"
	@echo "make golden       rewrite tests/golden/, tests/view/golden/ and docs/pictures/view-*.svg: review them as a diff"
	@echo "make pcaps        make the captures that are not recordings"
	@echo "make sdist        dist/: the source distribution"
	@echo "make wheel        dist/: the same, and a compiled manylinux wheel for each of PYTHONS=\"python3.11 python3.12\""
	@echo "make deb          dist/: a Debian package for this release of Debian, with all libraries"
	@echo "make clean        remove the environment and all build results"

$(VENV)/bin/python:
	@tools/make-venv "$(PYTHON)" "$(VENV)"

$(VENV)/.locked: $(LOCK) | $(VENV)/bin/python
	@echo "installing what $(LOCK) pins"
	@$(PIP_INSTALL) -r $(LOCK)
	@touch $@

$(VENV)/.developed: $(DEV_LOCK) | $(VENV)/.locked
	@echo "installing what $(DEV_LOCK) pins"
	@$(PIP_INSTALL) -r $(DEV_LOCK)
	@touch $@

$(VENV)/.built: $(VENV)/.locked pyproject.toml setup.py $(HOT)
	@tools/install-in-place $(BIN)/python
	@touch $@

demo: $(VENV)/.built
	@$(BIN)/python tools/demo.py

check: lint
	$(PYTEST) -m "not slow" $(ARGS)

# The second run leaves out tests without a hot module: the mark `once`.
test: $(VENV)/.developed $(VENV)/.built
	@tools/system-packages
	$(PYTEST) $(ARGS)
	@$(BIN)/python tools/is_compiled.py || echo "only the plain build is tested: the core did not compile"
	@! $(BIN)/python tools/is_compiled.py || { set -x; CAPTURE_AGENT_PURE=1 $(PYTEST) -m "not once" $(ARGS); }

lint: $(VENV)/.developed $(VENV)/.built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.developed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.developed
	$(UV_COMPILE) --upgrade --all-extras --group dev pyproject.toml -o $(DEV_LOCK)
	$(UV_COMPILE) --upgrade --group build --constraint $(DEV_LOCK) pyproject.toml -o $(LOCK)

test-lowest: $(VENV)/.developed
	@tools/test-lowest "$(PYTHON)" $(ARGS)

bench: $(VENV)/.built
	$(BIN)/python -m benchmarks $(ARGS)

bench-instructions: $(VENV)/.built
	$(BIN)/python -m benchmarks.instructions --write

soak: $(VENV)/.built
	$(BIN)/python -m benchmarks.soak $(ARGS)

sanitize: $(VENV)/.developed $(VENV)/.built
	@tools/sanitize $(BIN)/python --cases $(CASES) --seed $(SEED) $(ARGS)

golden: $(VENV)/.developed $(VENV)/.built
	$(BIN)/python tests/test_golden.py
	$(BIN)/python tests/view/test_view_golden.py
	REWRITE_GOLDEN=1 $(BIN)/python -m pytest tests/cli/test_terminal_view.py

pcaps: $(VENV)/.developed
	$(BIN)/python tools/make_pcaps.py

sdist: $(VENV)/.developed
	$(TOOLS) tools/build-sdist dist

wheel: $(VENV)/.developed
	$(TOOLS) tools/build-wheels dist $(PYTHONS)

deb: $(VENV)/.developed
	$(TOOLS) tools/build-deb dist

clean:
	rm -rf $(VENV) .cache build dist demo *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find capture_agent hep \( -name '*.so' -o -name '*.c' -o -name '*.html' \) -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
