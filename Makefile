# Every target does its own set-up: `make demo` and `make test` are all that a fresh clone needs.
# Settings, e.g. `make demo DEMO_OUT=/tmp/out` or `make test PYTHON=/opt/python3.12/bin/python3`:
VENV ?= .venv
PYTHON ?=
WORKERS ?= 2
DEMO_IN ?= bids_examples/phantom
DEMO_OUT ?= demo_output
DEMO_WORK ?= demo_work
DEMO_ARGS ?=
PYTEST_ARGS ?=
# of `make fuzz`: so many seconds, or N cases
FUZZ_SECONDS ?= 120
N ?=
FUZZ_ARGS ?=

SHELL := /bin/sh
bin := $(VENV)/bin
typed := wmhflow tools
code := wmhflow tests benchmarks bids_examples tools examples

.PHONY: help demo test test-slow fuzz bench bench-run accuracy lint format docs lock clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo 'make demo    run the program on the example dataset and say where the report is'
	@echo 'make test    run the tests (those marked slow: make test-slow)'
	@echo 'make fuzz    disturb inputs at random for two minutes (make fuzz N=100000: so many cases)'
	@echo 'make bench   measure the kernels beside other packages (about 10 minutes)'
	@echo 'make bench-run  measure time, memory and files of whole runs (about 10 minutes)'
	@echo 'make accuracy  measure masks and alignments on people whose truth is known (an hour)'
	@echo 'make lint    check format, style, types, arrows and dependencies (make format mends what can be mended)'
	@echo 'make docs    build the documentation into docs/_build/html'
	@echo 'make lock    remake the lock files (newest versions: make lock UPGRADE=1)'
	@echo 'make clean   remove the environment and everything that these targets wrote'

demo: $(VENV)/.installed-run
	$(bin)/wmhflow $(DEMO_IN) $(DEMO_OUT) participant \
		-d lesions=$(DEMO_IN)/derivatives/lesions \
		parcellation=$(DEMO_IN)/derivatives/parcellation \
		maps=$(DEMO_IN)/derivatives/maps \
		others=$(DEMO_IN)/derivatives/others \
		-w $(DEMO_WORK) $(DEMO_ARGS)
	$(bin)/wmhflow $(DEMO_IN) $(DEMO_OUT) group -w $(DEMO_WORK) $(DEMO_ARGS)
	@echo
	@echo 'Reports (open in a browser):'
	@ls -d $(DEMO_OUT)/sub-*.html | sed 's/^/  /'
	@echo 'Tables of each person and visit:'
	@find $(DEMO_OUT)/sub-* -name '*.tsv' ! -name '*_dseg.tsv' | sort | sed 's/^/  /'
	@echo 'Tables of the study:'
	@find $(DEMO_OUT)/group $(DEMO_OUT)/phenotype -name '*.tsv' | sort | sed 's/^/  /'

# loadfile: tests of one file share what they made, such as a whole run of the program. In the order of
# their names: by number of tests, the longest file of few tests would run alone at the end.
test: $(VENV)/.installed-dev
	$(bin)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-dev
	$(bin)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m slow $(PYTEST_ARGS)

# The same cases every time; each fault is printed with the command that repeats it.
fuzz: $(VENV)/.installed-dev
	$(bin)/python -m tests.fuzz --workers $(WORKERS) \
		$(if $(N),--cases $(N),--seconds $(FUZZ_SECONDS)) $(FUZZ_ARGS)

lint: $(VENV)/.installed-dev
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy $(typed)
	$(bin)/lint-imports --no-logo
	$(bin)/deptry wmhflow --optional-dependencies-dev-groups dev,bench,docs
	$(bin)/deptry $(code)
	$(bin)/python -m tools.house

format: $(VENV)/.installed-dev
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

docs: $(VENV)/.installed-dev
	$(bin)/sphinx-build --quiet --builder html docs docs/_build/html
	@echo 'Documentation: docs/_build/html/index.html'

# The table goes to standard output; exit 1 where a figure is missed.
bench: $(VENV)/.installed-bench
	$(bin)/python -m benchmarks.kernels

# Nothing else should run on the machine. Only some runs: `make bench-run RUNS="start demo"`.
bench-run: $(VENV)/.installed-bench
	$(bin)/python -m benchmarks.run $(if $(RUNS),--only $(RUNS))

# Only sections that are named, e.g. `make accuracy SECTIONS=rigid`.
accuracy: $(VENV)/.installed-bench
	$(bin)/python -m benchmarks.accuracy $(SECTIONS)

# --only-binary: what has no wheel would be built by code that no hash covers.
# --fork-strategy fewest: one version of a package for every Python version, where there is one.
compile = $$uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--only-binary :all: --generate-hashes --no-header --no-emit-index-url $(if $(UPGRADE),--upgrade)

lock: $(VENV)/.created
	@$(find_uv); \
	test -n "$$uv" || { echo 'make lock needs uv, which could not be installed' >&2; exit 1; }; \
	set -ex; \
	$(compile) --group setup -o requirements-uv.lock; \
	$(compile) pyproject.toml --group build -o requirements.lock; \
	$(compile) pyproject.toml --group build --extra dev --extra docs \
		-c requirements.lock -o requirements-dev.lock; \
	$(compile) pyproject.toml --group build --extra bench \
		-c requirements-dev.lock -o requirements-bench.lock

clean:
	rm -rf $(VENV) $(DEMO_OUT) $(DEMO_WORK) docs/_build docs/_generated build dist \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up ------------------------------------------------------------------------------------
# The stamp files make a second call quick; a newer lock or project file installs again.

$(VENV)/.installed-run: $(VENV)/.created requirements.lock pyproject.toml
	@$(call install,requirements.lock)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created requirements-dev.lock pyproject.toml
	@$(call install,requirements-dev.lock)
	@touch $@ $(VENV)/.installed-run

$(VENV)/.installed-bench: $(VENV)/.installed-dev requirements-bench.lock
	@$(call install,requirements-bench.lock)
	@touch $@

# A uv on PATH makes the environment; without it, venv and pip do, and pip tries to install uv.
# A uv that cannot be had (no wheel for this machine, no access) is no failure: pip serves as well.
$(VENV)/.created:
	@$(find_python); $(find_uv); \
	echo "Making $(VENV) with $$($$python --version) ($$python)"; \
	if test -n "$$uv" && $$uv venv --quiet --clear --python "$$python" $(VENV); then :; \
	elif "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		"$$python" -m venv --clear $(VENV) || exit 1; \
		$(bin)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
			--require-hashes -r requirements-uv.lock \
			|| echo 'uv could not be installed: going on with pip, which is slower'; \
	else \
		echo "wmhflow: $$python has no venv module; install it (on Debian: apt install python3-venv)" >&2; \
		exit 1; \
	fi
	@touch $@

# Version managers leave names on PATH that do not run, so each candidate is tried. Python 3.14 is
# left out as long as antspyx has no wheel for it.
find_python = python=; \
	for name in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
		found=$$(command -v "$$name") || continue; \
		if "$$found" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
			python=$$found; break; \
		fi; \
	done; \
	test -n "$$python" || { \
		echo 'wmhflow: no Python 3.11 to 3.13 found; install one, or name it: make PYTHON=/path/to/python3' >&2; \
		exit 1; }

find_uv = uv=; \
	for name in uv $(bin)/uv; do \
		if "$$name" --version >/dev/null 2>&1; then uv=$$name; break; fi; \
	done

# The project itself comes last, as a link to this folder, built by the locked build package.
uv_install = $$uv pip install --quiet --compile-bytecode --python $(bin)/python
pip_install = $(bin)/python -m pip install --quiet --disable-pip-version-check
project = --no-deps --no-build-isolation --editable .

define install
$(find_uv); \
echo 'Installing $(1) into $(VENV)'; \
if test -n "$$uv" && $(uv_install) --no-deps --only-binary :all: --require-hashes -r $(1) \
	&& $(uv_install) $(project); then :; \
else \
	$(bin)/python -m pip --version >/dev/null 2>&1 || $(bin)/python -m ensurepip >/dev/null || exit 1; \
	$(pip_install) --no-deps --only-binary :all: --require-hashes -r $(1) || exit 1; \
	$(pip_install) $(project) || exit 1; \
fi
endef
