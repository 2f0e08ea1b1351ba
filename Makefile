# `make demo` and `make test` do all set-up they need; `make env` does the set-up alone.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
DATA ?= ../shared/data/labelled
DISTILL := $(BIN)/python benchmarks/distillation.py --budget 40 --seeds 3
LINEAR := $(BIN)/python benchmarks/distillation.py --set benchmarks/evidence/pod.yaml
WIDE := $(BIN)/python benchmarks/distillation.py --set benchmarks/evidence/wide.yaml
RESULTS := benchmarks/results/distillation

# One thread per job: several jobs beat several threads on these small systems.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PYTHONNOUSERSITE := 1

.PHONY: help env env-teachers demo test test-fast test-slurm evidence evidence-linear evidence-transfer lint format doctor unlock slurm-profile clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

env: $(STAMP) ## build the virtual environment .venv from requirements.lock

# The environment is built anew when the lock file, the GPAW settings or the metadata change.
$(STAMP): requirements.lock envs/gpaw/siteconfig.py pyproject.toml
	@bash envs/build.sh "$(PYTHON)" "$(VENV)"
	@touch $(STAMP)

env-teachers: .venv-teachers/.complete ## build the optional environment of the teachers dpa, mace-deepmd and nequip

.venv-teachers/.complete: requirements-teachers.txt envs/teachers.sh
	@bash envs/teachers.sh "$(PYTHON)" .venv-teachers
	@touch $@

demo: $(STAMP) ## the whole chain for Al on real DFT -> results/Al/report.html
	$(BIN)/snakemake --config materials=[Al]
	@echo "report: results/Al/report.html"

test: $(STAMP) ## the whole test suite, a miniature chain included
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=15

test-fast: $(STAMP) ## tests that take seconds
	$(BIN)/python -m pytest -n 2 -m "not slow and not chain"

test-slurm: $(STAMP) ## tests on a real Slurm of one node (Debian or Ubuntu, as root)
	@bash tests/slurm/install.sh
	SLURM_REQUIRED=1 $(BIN)/python -m pytest tests/slurm -m slurm

evidence: $(STAMP) ## benchmarks of the learning; says first how long (DATA=folder of labelled sets)
	@test -f $(DATA)/Si.extxyz || { echo "DATA=$(DATA): holds no Si.extxyz; see docs/evidence.md"; exit 1; }
	@for name in Si Mo Cu; do $(DISTILL) --data $(DATA)/$$name.extxyz --json $(RESULTS)_$$name.json --estimate || exit 1; done
	@for n in 10 12 20; do $(DISTILL) --data $(DATA)/Mo.extxyz --budget $$n --json $(RESULTS)_Mo_$$n.json --estimate || exit 1; done
	@$(DISTILL) --data $(DATA)/Cu.extxyz --budget 10 --json $(RESULTS)_Cu_10.json --estimate
	@$(DISTILL) --data $(DATA)/Si.extxyz --set benchmarks/evidence/small.yaml --json $(RESULTS)_Si_small.json --estimate
	@for set in pod wide tiny; do $(DISTILL) --data $(DATA)/Si.extxyz --set benchmarks/evidence/$$set.yaml --models dnn dnn-kd --json $(RESULTS)_Si_$$set.json --estimate || exit 1; done
	@for set in short brief; do $(DISTILL) --data $(DATA)/Si.extxyz --set benchmarks/evidence/$$set.yaml --models dnn --json $(RESULTS)_Si_$$set.json --estimate || exit 1; done
	@for case in "Mo 12" "Cu 10"; do set -- $$case; $(DISTILL) --data $(DATA)/$$1.extxyz --budget $$2 --set benchmarks/evidence/brief.yaml --models dnn --json $(RESULTS)_$$1_$$2_brief.json --estimate || exit 1; done
	@for set in pod wide; do $(DISTILL) --budget 12 --data $(DATA)/Mo.extxyz --set benchmarks/evidence/$$set.yaml --models dnn dnn-kd --json $(RESULTS)_Mo_12_$$set.json --estimate || exit 1; done
	@$(BIN)/python benchmarks/architectures.py --data $(DATA)/Si.extxyz --json benchmarks/results/architectures_Si.json --estimate
	@$(BIN)/python benchmarks/learning.py --estimate
	@echo "and, not in these hours: linear students (minutes), the set of aluminium with its scan, the demo, the environment of other teachers"
	@for name in Si Mo Cu; do $(DISTILL) --data $(DATA)/$$name.extxyz --json $(RESULTS)_$$name.json || exit 1; done
	for n in 10 12 20; do $(DISTILL) --data $(DATA)/Mo.extxyz --budget $$n --json $(RESULTS)_Mo_$$n.json || exit 1; done
	$(DISTILL) --data $(DATA)/Cu.extxyz --budget 10 --json $(RESULTS)_Cu_10.json
	$(DISTILL) --data $(DATA)/Si.extxyz --set benchmarks/evidence/small.yaml --cost --json $(RESULTS)_Si_small.json
	$(DISTILL) --data $(DATA)/Si.extxyz --cost --json $(RESULTS)_Si.json
	for set in pod wide tiny; do $(DISTILL) --data $(DATA)/Si.extxyz --set benchmarks/evidence/$$set.yaml --models dnn dnn-kd --cost --json $(RESULTS)_Si_$$set.json || exit 1; done
	for set in short brief; do $(DISTILL) --data $(DATA)/Si.extxyz --set benchmarks/evidence/$$set.yaml --models dnn --json $(RESULTS)_Si_$$set.json || exit 1; done
	for case in "Mo 12" "Cu 10"; do set -- $$case; $(DISTILL) --data $(DATA)/$$1.extxyz --budget $$2 --set benchmarks/evidence/brief.yaml --models dnn --json $(RESULTS)_$$1_$$2_brief.json || exit 1; done
	for set in pod wide; do $(DISTILL) --budget 12 --data $(DATA)/Mo.extxyz --set benchmarks/evidence/$$set.yaml --models dnn dnn-kd --cost --json $(RESULTS)_Mo_12_$$set.json || exit 1; done
	$(MAKE) evidence-linear
	$(BIN)/python docs/images/make_evidence_figure.py
	$(BIN)/snakemake --until gather_labels --config 'materials=[Al_landscape, Al_md]'
	$(MAKE) evidence-transfer
	$(BIN)/python benchmarks/learning.py --json benchmarks/results/learning_Al.json --figures docs/images
	$(BIN)/python benchmarks/learning.py --export results/Al_set/Al.extxyz
	$(DISTILL) --data results/Al_set/Al.extxyz --scan --json $(RESULTS)_Al.json
	$(MAKE) demo
	$(BIN)/python benchmarks/speed.py --results results/Al --json benchmarks/results/speed.json
	$(MAKE) env-teachers
	$(BIN)/python benchmarks/architectures.py --data $(DATA)/Si.extxyz --json benchmarks/results/architectures_Si.json

evidence-linear: $(STAMP) ## the linear student on DFT labels alone, minutes (DATA=folder of labelled sets)
	@test -f $(DATA)/Si.extxyz || { echo "DATA=$(DATA): holds no Si.extxyz; see docs/evidence.md"; exit 1; }
	for name in Si Mo Cu; do $(LINEAR) --data $(DATA)/$$name.extxyz --seeds 3 --models dnn dnn-all --json $(RESULTS)_$${name}_pod.json || exit 1; done
	for name in Si Mo Cu; do for n in 10 12 20 80 160; do $(LINEAR) --data $(DATA)/$$name.extxyz --budget $$n --seeds 3 --models dnn --json $(RESULTS)_$${name}_$${n}_pod.json || exit 1; done; done
	$(WIDE) --data $(DATA)/Si.extxyz --seeds 3 --models dnn --json $(RESULTS)_Si_wide.json
	$(WIDE) --data $(DATA)/Mo.extxyz --budget 12 --seeds 3 --models dnn --json $(RESULTS)_Mo_12_wide.json
	$(WIDE) --data $(DATA)/Cu.extxyz --budget 10 --seeds 3 --models dnn --json $(RESULTS)_Cu_10_wide.json

evidence-transfer: $(STAMP) ## labels of aluminium whose library is that of copper
	$(BIN)/snakemake --until merge_library --config 'materials=[Cu_library]'
	test -f results/Al_from_Cu.parquet || $(BIN)/polymorphkd substitute results/Cu_library/generate/library.parquet results/Al_from_Cu.parquet Cu=Al --volume 16.5
	$(BIN)/snakemake --until gather_labels --config 'materials=[Al_from_Cu]'

# Of tests and benchmarks mypy asks only whether what they name exists and can be called so.
NOT_IN_TESTS := arg-type assignment call-overload dict-item func-returns-value index misc operator return-value union-attr

lint: $(STAMP) ## ruff, snakefmt, mypy, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks --allow-untyped-defs $(addprefix --disable-error-code=,$(NOT_IN_TESTS))
	$(BIN)/snakemake --lint

format: $(STAMP) ## bring code and rules into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

doctor: $(STAMP) ## what is installed, what works, and how to mend what does not
	$(BIN)/polymorphkd doctor

unlock: $(STAMP) ## remove the lock that a killed Snakemake left behind
	$(BIN)/snakemake --unlock

slurm-profile: ## let `snakemake --profile slurm` find profiles/slurm
	mkdir -p "$${XDG_CONFIG_HOME:-$$HOME/.config}/snakemake"
	ln -sfn "$(CURDIR)/profiles/slurm" "$${XDG_CONFIG_HOME:-$$HOME/.config}/snakemake/slurm"

clean: ## remove caches (results and environment stay)
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
