# Mintaka. `make` alone prints what there is.
#
# Everything runs in .venv, made from requirements.lock by pip alone. Your own pip configuration (indexes, mirrors,
# caches, find-links) is honoured.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
JOBS ?= 2
export MINTAKA_CACHE ?= $(CURDIR)/runs/.cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH # another checkout's code must not slip in

# The first Python of at least 3.11 that starts (a name on the PATH may be a shim that does not).
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

##@ What there is
.PHONY: help
help: ## print this
	@printf 'Mintaka: spiking networks, from training to bit-exact Verilog.\n'
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nAfter `make setup` the command line is %s (try --help).\n' $(BIN)/mintaka

.PHONY: demo
demo: $(STAMP) ## train digits, generate Verilog, co-simulate every spike, report: runs/demo/report.html
	@$(BIN)/mintaka demo

.PHONY: doctor
doctor: $(STAMP) ## check the toolchain and simulate one gate
	@$(BIN)/mintaka doctor

.PHONY: setup
setup: $(STAMP) ## make .venv from requirements.lock

##@ Checks
.PHONY: test
test: $(STAMP) lint ## lint and all tests (about 15 minutes on 2 cores)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist worksteal

.PHONY: test-fast
test-fast: $(STAMP) lint ## lint and the tests of the contract, the software and plans (a few minutes on 2 cores)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist worksteal tests/contract tests/sw tests/hw/test_plan.py

.PHONY: test-long
test-long: $(STAMP) ## long sweeps: every design through cocotb, all of MNIST through the Verilog, 10,000 damaged files of each kind
	MINTAKA_LONG=1 $(BIN)/pytest -m long -n 0 -s tests/cosim tests/hostile

N ?= 1000
SEED ?= 1
.PHONY: fuzz
fuzz: $(STAMP) ## N generated networks, RTL of them through the RTL (N=1000 RTL=30 SEED=1; REPLAY=file)
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz.py $(if $(REPLAY),--replay $(REPLAY),-n $(N) $(if $(RTL),--rtl $(RTL)) --seed $(SEED) --jobs $(JOBS))

BUGS ?=
.PHONY: mutants
mutants: $(STAMP) ## plant the bugs of tests/mutants, one at a time; a test must notice each (BUGS="rtl host"; can be stopped and resumed)
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m mutants.run --jobs $(JOBS) $(BUGS)

KINDS ?=
.PHONY: fuzz-files
fuzz-files: $(STAMP) ## N damaged and hostile files of each kind that is read (N=10000 SEED=1 KINDS="npz,artifact")
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m hostile $(if $(filter-out file,$(origin N)),-n $(N)) --seed $(SEED) --kinds "$(KINDS)"

PROOFS ?=
.PHONY: formal
formal: $(STAMP) ## prove streams, queues and LIF lanes with SymbiYosys and Z3 (minutes; PROOFS="lif queue")
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m formal.run --jobs $(JOBS) $(PROOFS)

.PHONY: lint
lint: $(STAMP) ## ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## format the Python files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

##@ Figures
RUNS ?= runs
SAMPLES ?= 1000
.PHONY: results
results: $(STAMP) ## docs/studies/results.md from the trained runs (TRAIN=1 trains missing ones; RUNS=folder SAMPLES=1000)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.results --runs $(RUNS) --samples $(SAMPLES) --jobs $(JOBS) $(if $(TRAIN),--train)

PARTS ?=
BENCH ?=
.PHONY: bench
bench: $(STAMP) ## docs/studies/benchmarks.md: cycles, resources, speed (PARTS="cycles synth fmax train infer simulate" BENCH="--help")
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.bench $(PARTS) $(BENCH)

.PHONY: comparison
comparison: $(STAMP) ## docs/studies/comparison.md: beside published systems
	$(BIN)/python -m benchmarks.comparison

DATA ?= digits
METHODS ?=
SEEDS ?= 1,2,3
.PHONY: bench-methods
bench-methods: $(STAMP) ## docs/studies/compression.md (DATA=digits|mnist|watch METHODS=slim,... SEEDS=1,2,3; can be stopped and resumed)
	$(BIN)/python -m benchmarks.methods --data $(DATA) --seeds $(SEEDS) --jobs $(JOBS) $(if $(METHODS),--methods $(METHODS))

##@ Housekeeping
.PHONY: lock
lock: ## pin the requirements anew, from a clean environment, into requirements.lock
	@$(require-python)
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(PYTHON) -m venv "$$scratch/venv" \
	&& echo "Installing the newest allowed requirements into a clean environment (minutes)." \
	&& "$$scratch/venv/bin/pip" install --quiet $(TORCH) -e '.[dev]' \
	&& { printf '# Exact versions of everything, made by `make lock`; nothing here is edited by hand.\n'; \
	     "$$scratch/venv/bin/pip" freeze --exclude-editable | sed -E 's/\+[a-z0-9.]+$$//' | LC_ALL=C sort -f; \
	   } > requirements.lock.new && mv requirements.lock.new requirements.lock \
	&& echo "requirements.lock holds $$(grep -c == requirements.lock) packages."

.PHONY: clean
clean: ## remove runs/demo, the build cache and the tools' caches (the environment and data stay)
	rm -rf runs/demo runs/.cache build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find sw hw cosim benchmarks tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# Exactly this torch: newer or other builds would be another numeric environment, and other requirements must not move it.
TORCH := torch==2.13.0

define require-python
if [ -z "$(PYTHON)" ]; then \
	echo "Mintaka needs Python 3.11 or newer, and none was found: install python3 and python3-venv, or say make PYTHON=..." >&2; \
	exit 1; fi
endef

$(STAMP): requirements.lock pyproject.toml
	@$(require-python)
	@if [ ! -x $(BIN)/python ]; then echo "Making $(VENV) with $$($(PYTHON) --version)."; \
	$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment: install its venv package (Debian, Ubuntu: apt install python3-venv)." >&2; \
	rm -rf $(VENV); exit 1; }; fi
	@echo "Installing the pinned requirements (a few minutes the first time; torch is the large one)."
	@$(BIN)/pip install --quiet -r requirements.lock || { \
	echo "pip could not install requirements.lock: look at its message above, then run make again." >&2; exit 1; }
	@$(BIN)/pip install --quiet --no-deps -e . || { \
	echo "pip could not install Mintaka itself: look at its message above, then run make again." >&2; exit 1; }
	@touch $@
	@echo "The environment is ready: $(BIN)/mintaka --help"
