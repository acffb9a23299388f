#!/usr/bin/env bash
# Compiles contracts/, runs Foundry's tests (100,000 invariant calls), and checks the gas snapshot and
# the artifacts that Rust uses. `--write` renews both. Needs Node.js, and says so where it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../contracts"
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "contracts: SKIPPED. Node.js is missing, so the contracts are neither compiled nor tested." >&2
  exit 0
fi
forge=node_modules/.bin/forge
if [ "${1:-}" = --write ]; then
  "$forge" test
  node tools/artifacts.js
else
  FOUNDRY_PROFILE=ci FORGE_SNAPSHOT_CHECK=true "$forge" test
  node tools/artifacts.js --check
fi
