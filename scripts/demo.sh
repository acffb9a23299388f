#!/usr/bin/env bash
# The main job: a crash settled natively, then the whole system on a development L1 until a batch with trades and
# liquidations is executed there, and what L1 then holds, checked by processes that see nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=../shared/data/crash-2025-10-10
out=${TALLY_OUT:-out/demo}
crash=(--out "$out/crash")
if [ -d "$data" ]; then
  crash+=(--klines "$data" --accounts 2000)
  market="the crash of October 2025: 32 perpetuals, 2,000 accounts, 144 hours"
else
  crash+=(--accounts 200)
  market="a generated crash: 4 perpetuals, 200 accounts"
fi
loop=(--data "$out/devnet" --listen 127.0.0.1:0 --bots 8 --epochs-per-batch 8 --round-ms 3000 --until-settled)
say() { printf '\n== %s\n' "$1"; }
# A field of a file of JSON on one line or several.
field() { sed -n "s/.*\"$2\": *\"\([^\"]*\)\".*/\1/p" "$1" | head -n 1; }
seconds() { say "that took $((SECONDS - began)) s"; began=$SECONDS; }

say "building (minutes the first time)"
cargo build --quiet --locked -p tally-cli --bin tally
tally=${CARGO_TARGET_DIR:-target}/debug/tally
began=$SECONDS

say "1 of 4: settle $market, natively"
"$tally" replay "${crash[@]}"
"$tally" account 1024 --out "$out/crash"
seconds

say "2 of 4: the whole system, from deposits to withdrawals: proofs, their wrap, the generated verifier on L1"
rm -rf "$out/devnet"
"$tally" devnet "${loop[@]}"
seconds

say "3 of 4: verify the proofs, from their files alone"
"$tally" verify "$out"/devnet/batches/batch-*.proof
seconds

say "4 of 4: rebuild accounts and rows from L1 alone, with an account that was levered before the fall"
"$tally" rebuild --devnet "$out/devnet" --out "$out/rebuilt" --account 1028
settled=$(field "$out/devnet/summary.json" settled_root)
rebuilt=$(field "$out/rebuilt/rebuilt.json" state_root)
if [ -z "$settled" ] || [ "$settled" != "$rebuilt" ]; then
  echo "demo: L1 has settled ${settled:-no root}, what it holds leads to ${rebuilt:-none}" >&2
  exit 1
fi
seconds
say "done: L1 has settled $settled, and what it holds leads to it ($out)"
