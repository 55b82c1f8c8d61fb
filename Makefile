# Everything a person types here. Each target does its own set-up on a fresh
# Debian 12 machine (system packages included) and repeats quickly.
# JOBS bounds what runs at once: make test JOBS=4

CORES := $(shell nproc)
JOBS ?= $(shell [ $(CORES) -gt 8 ] && echo 8 || echo $(CORES))
export JOBS
SCHEDULES ?= 10000
export CARGO_BUILD_JOBS ?= $(JOBS)
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: help run test check sim bench e2e setup-build setup-test
.DEFAULT_GOAL := help

help: ## list these targets
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1 \t/p' $(MAKEFILE_LIST) | expand -t 16

run: setup-build ## build, start the platform, deploy and call one function of each kind
	cargo build --release -p lambent
	cargo build --release --manifest-path examples/rust/Cargo.toml
	target/release/lambent up --demo --demo-binary examples/rust/target/release/bootstrap

test: setup-test ## everything: rules, format, lints, unit, property, simulation, runtime clients, end to end
	scripts/check.sh
	/usr/bin/python3 -m unittest discover -s runtimes/tests
	cargo build -p lambent
	scripts/test.sh --workspace
	$(MAKE) sim

check: setup-build ## only what reads code: rules, format, lints, licences
	scripts/check.sh

# The profile stops at the first broken invariant, and is optimised.
sim: setup-build ## the simulator: histories of books, worlds and 10,000 schedules of the whole system, by seed (HOURS=n: for so long)
	cargo build --profile sim -p sim
	target/sim/sim fuzz --seeds 2000
	target/sim/sim worlds --seeds 100
	target/sim/sim whole $(if $(HOURS),--hours $(HOURS),--seeds 0..$(SCHEDULES))

bench: setup-build ## measure this machine: ours beside the bare floor, row by row
	cargo build --release -p lambent
	cargo run --release -p bench -- --out target/bench.jsonl

e2e: setup-test ## only the end-to-end suite: AWS's own clients against the running binary
	cargo build -p lambent
	scripts/test.sh -p e2e

setup-build:
	@scripts/setup.sh build

setup-test:
	@scripts/setup.sh test
