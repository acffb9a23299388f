// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The field of the proofs, GF(p) with p = 2^64 − 2^32 + 1, and GF(p²) = GF(p)[X]/(X² − 7).
library Goldilocks {
    uint256 internal constant P = 0xffffffff00000001;
    /// @dev Words that one step of `evaluate` takes, and their bytes.
    uint256 private constant STEP = 8;
    uint256 private constant STEP_BYTES = 56;

    /// @notice y = Σ dᵢ zⁱ over the 7-byte words of memory from `start`, by Horner in steps of
    /// eight words.
    /// @dev `STEP_BYTES` after the words must be 0, so that missing words of the last step are. The
    /// powers below z⁸ are held as a + 2^128·b: a word times a power adds below 2^120 to either
    /// half, eight of them below 2^123, so halves do not meet. u, v < 2^64 and the powers' parts
    /// < 2^64 (7·b < 2^67) keep every sum below 2^133.
    function evaluate(uint256 start, uint256 words, uint256 z0, uint256 z1)
        internal
        pure
        returns (uint256 u, uint256 v)
    {
        uint256[STEP] memory powers;
        (uint256 a, uint256 b) = (1, 0);
        for (uint256 i = 0; i < STEP; ++i) {
            powers[i] = a | (b << 128);
            (a, b) = ((a * z0 + 7 * b * z1) % P, (a * z1 + b * z0) % P);
        }
        uint256 steps = (words + STEP - 1) / STEP;
        uint256 pos = start + steps * STEP_BYTES;
        assembly ("memory-safe") {
            let m := 0xffffffffffffff
            let b7 := mul(7, b)
            for { } gt(pos, start) { } {
                pos := sub(pos, STEP_BYTES)
                let d := mload(pos)
                let sum := shr(200, d)
                sum := add(sum, mul(and(shr(144, d), m), mload(add(powers, 0x20))))
                sum := add(sum, mul(and(shr(88, d), m), mload(add(powers, 0x40))))
                sum := add(sum, mul(and(shr(32, d), m), mload(add(powers, 0x60))))
                d := mload(add(pos, 28))
                sum := add(sum, mul(shr(200, d), mload(add(powers, 0x80))))
                sum := add(sum, mul(and(shr(144, d), m), mload(add(powers, 0xa0))))
                sum := add(sum, mul(and(shr(88, d), m), mload(add(powers, 0xc0))))
                sum := add(sum, mul(and(shr(32, d), m), mload(add(powers, 0xe0))))
                let next := add(add(mul(u, a), mul(v, b7)), and(sum, sub(shl(128, 1), 1)))
                v := mod(add(add(mul(u, b), mul(v, a)), shr(128, sum)), P)
                u := mod(next, P)
            }
        }
    }
}
