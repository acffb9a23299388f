#!/usr/bin/env bash
# Installs what the build needs and is missing: a C linker, RocksDB with the libclang that its bindings
# are made with, rustup, the pinned toolchain, and, where Node.js is there, contracts/'s npm packages.
#   scripts/setup.sh schemathesis    what scripts/schemathesis.sh runs, where Python and PyPI are there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$HOME/.cargo/bin:$PATH"

schemathesis() {
  local venv="${CARGO_TARGET_DIR:-target}/schemathesis"
  if ! command -v python3 >/dev/null || cmp -s scripts/schemathesis.txt "$venv/.locked"; then
    return
  fi
  echo "setup: installing schemathesis" >&2
  rm -rf "$venv"
  # Without PyPI the tests go on without it.
  if python3 -m venv "$venv" >/dev/null 2>&1 && "$venv/bin/pip" install --quiet --retries 1 \
    --timeout 15 --disable-pip-version-check --requirement scripts/schemathesis.txt >/dev/null 2>&1; then
    cp scripts/schemathesis.txt "$venv/.locked"
  fi
}
if [ "${1:-}" = schemathesis ]; then
  schemathesis
  exit
fi

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if ! command -v cc >/dev/null; then
  echo "setup: installing a C linker" >&2
  as_root apt-get update -qq
  as_root apt-get install -y -qq --no-install-recommends build-essential ca-certificates curl
fi
# Debian's library: RocksDB's own sources take 25 CPU-minutes (.cargo/config.toml says where it is).
if ! [ -e /usr/include/rocksdb/c.h ] || ! compgen -G "/usr/lib/llvm-*/lib/libclang.so" >/dev/null; then
  echo "setup: installing RocksDB and libclang" >&2
  as_root apt-get update -qq
  as_root apt-get install -y -qq --no-install-recommends librocksdb-dev libclang-dev >/dev/null
fi
if ! command -v cargo >/dev/null; then
  echo "setup: installing rustup" >&2
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
    sh -s -- -y --no-modify-path --profile minimal --default-toolchain none
fi
# The toolchain that rust-toolchain.toml pins is installed by the first call where it is missing.
if ! cargo --version >/dev/null 2>&1; then
  rustup toolchain install
fi
if command -v npm >/dev/null && ! cmp -s contracts/package-lock.json contracts/node_modules/.locked; then
  echo "setup: installing the packages of contracts/" >&2
  # Not `npm ci`: it demands a lock of every platform's binary, and registries do not hold them all.
  (cd contracts && npm install --no-save --no-audit --no-fund --loglevel=error >/dev/null)
  cp contracts/package-lock.json contracts/node_modules/.locked
fi
