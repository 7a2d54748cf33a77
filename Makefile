# Each target is one line to type; `make` alone lists them. `make setup` is part of every target that needs it and
# takes no time once done.
.DEFAULT_GOAL := help
.PHONY: help setup setup-slurm demo doctor studies claims known-scale status test test-fast test-slurm test-slurm-demo lint format bench schema lock clean distclean

# An activated conda environment named as in environment.yaml is used as it is, else the one in .venv/.
BIN := $(if $(filter ablation,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX),.venv)/bin
# Tests that need a GPU run where there is one; those that need Slurm say in one line why they do not run.
ABSENT := $(if $(wildcard /dev/nvidia0),,--ignore=tests/gpu)
# A file of tests runs in one process: what it builds once is shared by its tests. A test that hangs ends its
# process after a quarter of an hour, and the third process that dies ends the run: it is red, and never hangs.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 2 \
	-o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true
# A user writes STUDIES="a b", Snakemake reads a,b.
COMMA := ,
NO :=
NAMED = $(subst $(NO) $(NO),$(COMMA),$(strip $(or $(STUDIES),all)))
WORDS = $(subst $(COMMA), ,$(NAMED))
SCALES = $(basename $(notdir $(wildcard config/scales/*.yaml)))

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 18

setup: ## Make the environment in .venv/ ready (CONDA=micromamba: with conda, PYTHON=...: with another Python)
	@sh tools/setup.sh $(if $(filter command%,$(origin CONDA)),$(CONDA))

demo: setup ## Train the embedded studies and build the report
	$(BIN)/snakemake --cores all
	@echo "The report: results/report/index.html"

doctor: setup ## Check that this machine computes right what cells ask of it (SCALE=, STUDIES="a b": for these)
	@$(BIN)/python workflow/doctor.py $(if $(SCALE),--scale $(SCALE)) $(if $(STUDIES),--studies $(WORDS))

studies: known-scale setup ## Run every study at a scale: SCALE=smoke, demo, cifar or imagenet (STUDIES="a b": these, PROFILE=slurm: there)
	$(BIN)/snakemake --cores all --quiet rules progress $(if $(PROFILE),--profile $(PROFILE)) --config scale=$(SCALE) studies=$(NAMED)
	@$(BIN)/python tools/check_results.py --scale $(SCALE) --studies $(WORDS)
	@echo "The report: results/report/index.html"

# Chosen for the number of claims that they may decide in the time, with a network of 20 seconds a cell.
DECISIVE := aime_fig1_constant_lr aime_fig2_decay_epoch aime_augmentation paddle_lr_decay paddle_overfitting \
	paddle_finetune_small paddle_crop_scale paddle_weight_decay_range jeong_label_smoothing jeong_batch_reduction \
	jeong_warmup anracom_batch_size

claims: setup ## Train what tests 25 claims of the documents at demo scale (an hour and a half)
	@$(MAKE) --no-print-directory studies SCALE=demo STUDIES="$(DECISIVE)"

known-scale:
	@test -f "config/scales/$(SCALE).yaml" || { echo "SCALE is one of $(SCALES)$(if $(SCALE),; there is no '$(SCALE)')" >&2; exit 2; }

status: setup ## Show where every cell stands (SCALE=, STUDIES= as above; to watch: workflow/cell_status.py --watch)
	@$(BIN)/python workflow/cell_status.py $(if $(SCALE),--scale $(SCALE)) $(if $(STUDIES)$(SCALE),--studies $(WORDS))

test: lint ## Check the style, then run all tests but those of minutes each
	$(PYTEST) -rs -m "not long and not demo" $(ABSENT) tests

setup-slurm: ## Install Slurm for the tests, on Debian as root
	@sh tools/setup_slurm.sh

test-slurm: setup setup-slurm ## Run a real Slurm on this machine and do harm to it (20 minutes)
	$(BIN)/python -m pytest -rs -m "not demo" tests/slurm

test-slurm-demo: setup setup-slurm ## Run the demo's grid here and through Slurm, and compare (an hour)
	$(BIN)/python -m pytest -rs -m demo tests/slurm

test-fast: setup ## Run the unit tests
	$(PYTEST) tests/unit

# Of Snakemake's findings one is not ours: one environment serves all rules, none is named per rule.
lint: setup ## Check style and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	! $(BIN)/snakemake --lint 2>&1 | grep '^    \* ' | grep -v 'Specify a conda environment'

format: setup ## Bring the code into the style that `make lint` checks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

bench: setup ## Measure speed: benchmarks/
	$(BIN)/python benchmarks/run.py

schema: setup ## Write JSON schemas, reference pages and their pictures from the code's models
	$(BIN)/python tools/generate_docs.py
	$(BIN)/python tools/technique_pictures.py

lock: setup ## Write requirements.lock from requirements.in (UPGRADE=1: with the newest versions)
	$(BIN)/uv pip compile requirements.in --override requirements.overrides --universal --fork-strategy fewest \
		--python-version 3.11 --generate-hashes --no-header $(if $(UPGRADE),--upgrade) -o requirements.lock --quiet
	@echo "Now the same versions in environment.yaml: make test-fast names the lines that differ"

clean: ## Remove tables, figures, report and logs
	rm -rf results/studies results/report results/logs
	@echo "Kept: results/cells (what was trained), results/data (converted datasets), .venv; 'make distclean' removes them"

distclean: clean ## Remove also what was trained, converted and installed; asks first
	@printf 'Remove every trained cell, converted dataset and .venv? Type yes: '; read answer; [ "$$answer" = yes ]
	find results -mindepth 1 ! -name README.md -delete
	rm -rf .venv .snakemake .setup.log .setup.lock .pytest_cache .ruff_cache
