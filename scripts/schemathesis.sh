#!/usr/bin/env bash
# Tries every route of the sequencer against the OpenAPI document that it serves: whatever is sent, the
# answer is one that the document names, and never a 5xx. The same examples at every run. Skips, and says
# so, where scripts/setup.sh could not install schemathesis: there is no python3, or no PyPI.
#   scripts/schemathesis.sh [EXAMPLES]    20 a route where absent; `make test` takes 4
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
examples="${1:-20}"
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
venv="$target/schemathesis"

scripts/setup.sh schemathesis
if ! [ -e "$venv/.locked" ]; then
  echo "schemathesis: skipped, it is not installed" >&2
  exit 0
fi
# Where the tests were built, it is there.
tally="$(realpath -m "${TALLY_SEQUENCER:-$target/debug/tally-sequencer}")"
if ! [ -x "$tally" ]; then
  cargo build --quiet -p tally-service --bin tally-sequencer
fi

work="$(mktemp -d)"
: >"$work/out"
trap 'kill "${service:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
RUST_LOG=warn "$tally" sequencer --dev --data "$work/data" --listen 127.0.0.1:0 --rate 1000000 \
  >"$work/out" &
service=$!
until url="$(sed -n 's/^listening on //p' "$work/out")" && [ -n "$url" ]; do
  kill -0 "$service" || exit 1
done
cd "$work" # It leaves files where it runs.
if ! "$venv/bin/schemathesis" run "$url/v1/openapi.json" --max-examples "$examples" \
  --generation-deterministic --no-shrink --request-timeout 10 \
  --phases examples,coverage,fuzzing --exclude-path /v1/ws --warnings off --no-color \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
  >"$work/report" 2>&1; then
  cat "$work/report" >&2
  exit 1
fi
grep -E "generated|No issues" "$work/report" || true
kill -0 "$service"
