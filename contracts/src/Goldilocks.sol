// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The field of the proofs, GF(p) with p = 2^64 − 2^32 + 1, and GF(p²) = GF(p)[X]/(X²−7).
library Goldilocks {
    uint256 internal constant P = 0xffffffff00000001;
    /// @dev Words that one step of `evaluate` takes, and their bytes.
    uint256 private constant STEP = 8;
    uint256 private constant STEP_BYTES = 56;
    uint256 private constant WORD_MASK = 0xffffffffffffff;
    uint256 private constant HALF_MASK = 0xffffffffffffffffffffffffffffffff;

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
        // z⁸ in the place of z⁰, which no product needs.
        powers[0] = a | (b << 128);
        uint256 end = start + (words + STEP - 1) / STEP * STEP_BYTES;
        return _horner(start, end, powers);
    }

    /// @dev From the last step to the first. Few variables, so that none is spilled to memory.
    function _horner(uint256 start, uint256 pos, uint256[STEP] memory powers)
        private
        pure
        returns (uint256 u, uint256 v)
    {
        assembly ("memory-safe") {
            for { } gt(pos, start) { } {
                pos := sub(pos, STEP_BYTES)
                let sum := mload(pos)
                {
                    let d := sum
                    sum := shr(200, d)
                    sum := add(sum, mul(and(shr(144, d), WORD_MASK), mload(add(powers, 0x20))))
                    sum := add(sum, mul(and(shr(88, d), WORD_MASK), mload(add(powers, 0x40))))
                    sum := add(sum, mul(and(shr(32, d), WORD_MASK), mload(add(powers, 0x60))))
                    d := mload(add(pos, 28))
                    sum := add(sum, mul(shr(200, d), mload(add(powers, 0x80))))
                    sum := add(sum, mul(and(shr(144, d), WORD_MASK), mload(add(powers, 0xa0))))
                    sum := add(sum, mul(and(shr(88, d), WORD_MASK), mload(add(powers, 0xc0))))
                    sum := add(sum, mul(and(shr(32, d), WORD_MASK), mload(add(powers, 0xe0))))
                }
                let b := mload(powers)
                let a := and(b, HALF_MASK)
                b := shr(128, b)
                let next := add(mul(u, a), mul(v, mul(7, b)))
                next := add(next, and(sum, HALF_MASK))
                v := mod(add(add(mul(u, b), mul(v, a)), shr(128, sum)), P)
                u := mod(next, P)
            }
        }
    }
}
