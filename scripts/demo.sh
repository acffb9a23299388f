#!/usr/bin/env bash
# The main job: settle a crash, and prove and verify two epochs of one. The real crash where its data lies
# beside the checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=../shared/data/crash-2025-10-10
out=${TALLY_OUT:-out/demo}
args=(--out "$out" --json)
proven=(--out "$out/proven" --json --accounts 60 --epochs 8 --epochs-per-batch 1)
if [ -d "$data" ]; then
  args+=(--klines "$data" --accounts 2000)
  proven+=(--klines "$data" --start 2025-10-10T20:00:00Z)
else
  args+=(--accounts 200)
fi
cargo build --quiet --locked -p tally-cli --bin tally
tally=${CARGO_TARGET_DIR:-target}/debug/tally
"$tally" replay "${args[@]}"
"$tally" account 1024 --out "$out"
native=$("$tally" replay "${proven[@]}")
setup=$(sed -n 's/.*"setup_epochs":\([0-9]*\).*/\1/p' <<<"$native")
"$tally" replay "${proven[@]}" --prove --prove-from $((setup + 5)) --prove-epochs 2
"$tally" verify "$out"/proven/batch-*.proof
