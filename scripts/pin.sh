#!/usr/bin/env bash
# A changed circuit is a new release: writes the keys that `tally verify` demands, and the rows a fill.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --quiet --locked -p tally-cli --bin tally
tally=${CARGO_TARGET_DIR:-target}/debug/tally
pins=$(mktemp) rows=$(mktemp)
trap 'rm -f "$pins" "$rows"' EXIT
"$tally" pins > "$pins"
"$tally" bench rows > "$rows"
cp "$pins" prover/release.json
cp "$rows" tests/vectors/rows.json
