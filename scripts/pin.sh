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
if ! cmp --silent "$pins" prover/release.json; then
  echo "The keys change: scripts/golden.sh renews tests/golden/settle, which is of those before." >&2
fi
cp "$pins" prover/release.json
cp "$rows" tests/vectors/rows.json
