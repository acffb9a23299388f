#!/usr/bin/env bash
# Tries every route of the sequencer against the OpenAPI document that it serves: whatever is sent, the
# answer is one that the document names, and never a 5xx. Skips, and says so, where Python is missing or
# its package cannot be had.
#   scripts/schemathesis.sh [EXAMPLES]    20 a route where absent
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
examples="${1:-20}"
skip() { echo "schemathesis: skipped, $1" >&2; exit 0; }

command -v python3 >/dev/null || skip "there is no python3"
work="$(mktemp -d)"
trap 'kill "${service:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv" 2>/dev/null || skip "python3 has no venv"
"$work/venv/bin/pip" install --quiet 'schemathesis>=4,<5' || skip "PyPI does not have it for us"

tally="${TALLY_SEQUENCER:-}"
if [ -z "$tally" ]; then
  cargo build --quiet -p tally-service --bin tally-sequencer
  tally="${CARGO_TARGET_DIR:-target}/debug/tally-sequencer"
fi
RUST_LOG=warn "$tally" sequencer --dev --data "$work/data" --listen 127.0.0.1:0 --rate 1000000 \
  >"$work/out" &
service=$!
until url="$(sed -n 's/^listening on //p' "$work/out")" && [ -n "$url" ]; do
  kill -0 "$service" || exit 1
done
"$work/venv/bin/schemathesis" run "$url/v1/openapi.json" --max-examples "$examples" \
  --phases examples,coverage,fuzzing --exclude-path /v1/ws --request-timeout 10 --seed 1 \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
kill -0 "$service"
