#!/usr/bin/env bash
# The main job: settle a crash. The real one where its data lies beside the checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=../shared/data/crash-2025-10-10
out=${TALLY_OUT:-out/demo}
args=(--out "$out" --json)
if [ -d "$data" ]; then
  args+=(--klines "$data" --accounts 2000)
else
  args+=(--accounts 200)
fi
cargo build --quiet --locked -p tally-cli --bin tally
cargo run --quiet --locked -p tally-cli --bin tally -- replay "${args[@]}"
cargo run --quiet --locked -p tally-cli --bin tally -- account 1024 --out "$out"
