# Everything runs in this project's own environment, .venv, which the first target makes.
# Nothing needs to be activated. `make` alone lists what there is.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The first interpreter that is new enough; name another one with `make PYTHON=…`.
PYTHON ?= $(shell for p in python3 python3.15 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
BIN := .venv/bin
STAMP := .venv/leaklab.stamp
TEST_STAMP := .venv/leaklab-test.stamp
BENCH_STAMP := .venv/leaklab-bench.stamp
# uv from the path, or put into the environment by pip: pip's own resolver takes many minutes over
# the versions of botocore that s3fs and moto agree on. Where uv cannot be had, pip does it all.
INSTALL = PATH="$$PATH:$(CURDIR)/$(BIN)"; if command -v uv >/dev/null; \
  then install="uv pip install --quiet --compile-bytecode --python $(BIN)/python"; \
  else install="$(BIN)/python -m pip install --quiet --disable-pip-version-check"; fi; $$install
# With more than there are cores, what a test records comes late where it must not.
JOBS ?= 2
# Every test that starts an interpreter would compile leaklab anew.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

env: $(TEST_STAMP) ## make or update the environment in .venv

# The stamp makes reruns cheap: the environment is touched only when pyproject.toml has changed.
$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found; name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@if command -v uv >/dev/null; then \
	  test -x $(BIN)/python || uv venv --quiet --python "$(PYTHON)" .venv; \
	else \
	  test -x $(BIN)/python || "$(PYTHON)" -m venv .venv; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check uv \
	    || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'; \
	fi
	@$(INSTALL) --editable '.[audit,cases,cluster,metrics,s3]'
	@$(BIN)/python -m compileall -q leaklab
	@touch $@

$(TEST_STAMP): $(STAMP)
	@$(INSTALL) --group test
	@touch $@

# What leaklab is compared with is installed for the benchmarks only.
$(BENCH_STAMP): $(TEST_STAMP)
	@$(INSTALL) --group bench
	@touch $@

report: $(STAMP) ## all cases at quick sizes, all notebooks, rendered into data/reports
	$(BIN)/leaklab investigate --all --quick --jobs $(JOBS)

report-full: $(STAMP) ## the same at default sizes
	$(BIN)/leaklab investigate --all --jobs $(JOBS)

# Its settings ask nobody about news and look for no updates: no request leaves this machine. In a
# container everybody is root, which it refuses unasked.
lab: $(STAMP) ## JupyterLab on the notebooks
	$(BIN)/jupyter lab "--LabApp.app_settings_dir=$(CURDIR)/notebooks/automation/jupyterlab" \
	  $$([ "$$(id -u)" = 0 ] && echo --allow-root) notebooks/00-start-here.ipynb

# Files in the order of their folders: the long ones come first, so that no worker ends on one alone.
test: $(TEST_STAMP) ## all tests, with lint and types
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: $(TEST_STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TEST_STAMP) ## ruff format
	$(BIN)/ruff format .

bench: $(BENCH_STAMP) ## overhead of each pass, import of captures, retention paths, beside other tools
	$(BIN)/python benchmarks/overhead.py --write benchmarks/overhead.md
	$(BIN)/python benchmarks/kills.py --runs 200
	$(BIN)/python benchmarks/import_capture.py
	$(BIN)/python benchmarks/retention.py

bench-detection: $(BENCH_STAMP) ## precision and recall on the corpus, beside other tools, and on the cases; a large run
	$(BIN)/python benchmarks/detection.py --peers --catalogue
	$(BIN)/python benchmarks/series.py
	$(BIN)/python benchmarks/time_left.py
	$(BIN)/python benchmarks/large_run.py

calibrate: $(TEST_STAMP) ## choose the limits of the verdict on a series, and measure the errors they make
	$(BIN)/python benchmarks/calibrate.py

bench-guard: $(BENCH_STAMP) ## the guard for test suites on the corpus, beside other plugins; hours (a sample: GUARD="--sample 16 --repetitions 1")
	$(BIN)/python benchmarks/guard.py --peers --write benchmarks/guard.md $(GUARD)

bench-tree: $(BENCH_STAMP) ## the interactive tree in a browser, beside other libraries
	$(BIN)/python benchmarks/tree.py

soak: $(BENCH_STAMP) ## a long recording: memory of the recorder, size on disk
	$(BIN)/python benchmarks/soak.py

own-leaks: $(STAMP) ## leaklab under its own guard: 200 shows, 200 stores opened, 200 recordings
	LEAKLAB_OWN_UNITS=200 $(BIN)/python -m pytest tests/e2e/test_own_leaks.py

figure: $(STAMP) ## the figure in the README
	$(BIN)/python data/figure.py

clean: ## remove recorded runs, reports and caches; the environment stays
	find data/runs data/reports -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf data/detection .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove the environment too
	rm -rf .venv

.PHONY: help env report report-full lab test lint format bench bench-detection bench-guard bench-tree calibrate soak own-leaks figure clean distclean
