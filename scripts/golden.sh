#!/usr/bin/env bash
# Renews tests/golden/settle: a changed circuit (of circuits/ or circuits/wrap) is another verifier.
# Replays six epochs, proves them in two batches, wraps both with the development setup and wraps a
# proof of another key beside them: about 10 CPU-minutes. Needs solc (contracts/node_modules).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
golden=tests/golden/settle
cargo build --quiet --locked -p tally-cli --bin tally
tally=${CARGO_TARGET_DIR:-target}/debug/tally
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The development setup whatever this machine's cache has.
export TALLY_CACHE=$work/cache
"$tally" srs dev
# Of this seed the second batch serves two items and pays two withdrawals.
replay=(replay --accounts 8 --epochs 2 --epochs-per-batch 3 --seed 50)
"$tally" "${replay[@]}" --prove --out "$work/proven" > /dev/null
"$tally" "${replay[@]}" --data --out "$work/data" > /dev/null
"$tally" settle --replay "$work/proven" --rpc embedded --try-lies --json
rm -rf "$golden" && mkdir -p "$golden"
cp "$work"/data/batch-*.data "$work"/proven/batch-*.wrapped "$work"/proven/verifier.json \
  "$work/data/summary.json" "$golden"
TALLY_GOLDEN=$work/proven/batch-000000.proof cargo test --quiet --locked -p tally-tests --test golden
