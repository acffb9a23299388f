#!/usr/bin/env bash
# The main job: settle a crash natively, then prove and verify two epochs of one, and rebuild the state from L1
# data alone. The real crash where its data lies beside the checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=../shared/data/crash-2025-10-10
out=${TALLY_OUT:-out/demo}
args=(--out "$out")
proven=(--out "$out/proven" --accounts 60 --epochs 8 --epochs-per-batch 1 --data)
if [ -d "$data" ]; then
  args+=(--klines "$data" --accounts 2000)
  proven+=(--klines "$data" --start 2025-10-10T20:00:00Z)
  market="the crash of October 2025: 32 perpetuals, 2,000 accounts, 144 hours"
  window="the half hour of its low"
else
  args+=(--accounts 200)
  market="a generated crash: 4 perpetuals, 200 accounts"
  window="a half hour before it"
fi
say() { printf '\n== %s\n' "$1"; }

say "building (minutes the first time)"
cargo build --quiet --locked -p tally-cli --bin tally
tally=${CARGO_TARGET_DIR:-target}/debug/tally

say "1 of 5: settle $market, natively"
"$tally" replay "${args[@]}"

say "2 of 5: an account after it ($out/state.json)"
"$tally" account 1024 --out "$out"

say "3 of 5: prove two epochs, $window, with 60 accounts (the circuits are built first)"
native=$("$tally" replay "${proven[@]}" --json)
setup=$(sed -n 's/.*"setup_epochs":\([0-9]*\).*/\1/p' <<<"$native")
epochs=(--prove-from $((setup + 7)) --prove-epochs 2)
mkdir -p "$out/all" && cp "$out"/proven/batch-*.data "$out/all/"
"$tally" replay "${proven[@]}" --prove "${epochs[@]}"

say "4 of 5: verify them, from the files alone"
"$tally" verify "$out"/proven/batch-*.proof

say "5 of 5: rebuild accounts and rows from the L1 data of all epochs, and from nothing else"
"$tally" rebuild --proofs "$out"/all/batch-*.data --out "$out/rebuilt"
say "done: $out"
