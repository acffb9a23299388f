# `make test` runs every test, `make demo` settles a crash and runs the whole system. Both install what they need.
# Build products go to CARGO_TARGET_DIR where one is set, else to target/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: test contracts demo lint setup

test: setup contracts
	@if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --workspace --locked --no-fail-fast; \
	else \
	  cargo test --workspace --locked --no-fail-fast --lib --bins --tests; \
	fi
	@scripts/schemathesis.sh 4

# Compiles the contracts and runs Foundry's tests where Node.js is there.
contracts: setup
	@scripts/contracts.sh

demo: setup
	@scripts/demo.sh

lint: setup
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked

setup:
	@scripts/setup.sh
