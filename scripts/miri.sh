#!/usr/bin/env bash
# The vector kernels under Miri, which finds undefined behaviour: portable, AVX2 and, where Miri knows its
# instructions, AVX-512; then NEON, for which Miri needs no such processor. Not part of `make test`: it needs
# the nightly toolchain with Miri.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/miri
export MIRIFLAGS="-Zmiri-disable-isolation" PROPTEST_CASES=${PROPTEST_CASES:-16}
for target in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu; do
  cargo +nightly miri test --locked -p tally-kernels --target "$target" --lib -- simd::
done
