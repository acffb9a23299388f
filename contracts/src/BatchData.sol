// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Goldilocks} from "./Goldilocks.sol";

/// @notice Reads the bytes of a batch [P6]: its statement, the queue items it served and the
/// withdrawals it pays; and builds the proof's public inputs from them (docs/l1.md).
/// @dev Twin of protocol/src/data/ and circuits/src/batch/statement.rs, checked over
/// tests/vectors/l1.json. A word is 7 bytes, so none reaches p; what would alias are the halves
/// of a state root, which are compared.
library BatchData {
    uint256 internal constant VERSION = 3;
    uint256 internal constant STATEMENT_WORDS = 38;
    uint256 internal constant SECTIONS = 5;
    /// @dev Words of a record by section: queue outcome, withdrawal, small account, account, row.
    uint256 internal constant QUEUE_WORDS = 32;
    uint256 internal constant WITHDRAWAL_WORDS = 5;
    uint256 internal constant SMALL_WORDS = 28;
    uint256 internal constant LARGE_WORDS = 64;
    uint256 internal constant ROW_WORDS = 27;

    uint256 internal constant WORD = 7;
    /// @dev An item's words of a queue record: all but index and outcome.
    uint256 internal constant ITEM_BYTES = 210;
    uint256 internal constant WITHDRAWAL_BYTES = 35;
    /// @dev Zeros that `Goldilocks.evaluate` needs after the words.
    uint256 private constant PADDING = 64;

    bytes private constant DOMAIN = "tally batch v1";

    /// @dev The statement's fields that the contract uses, and where the bytes lie in memory.
    struct Statement {
        uint256 start;
        uint256 words;
        uint64 firstEpoch;
        uint64 lastEpoch;
        uint64 round;
        uint64 time;
        bytes32 stateBefore;
        bytes32 stateAfter;
    }

    /// @dev What the records of a batch come to.
    struct Records {
        uint64 queueEnd;
        bytes27 queueChain;
        bytes32 withdrawals;
    }

    error DataLength(uint256 bytesGiven);
    error DataVersion(uint256 version);
    error WordCount(uint256 stated, uint256 given);
    error WrongChain(uint256 chainId);
    error WrongContract(address stated);
    error HalfTooWide(uint256 word, uint256 value);
    error AliasedHalves(uint256 word);
    error RecordsOverrun(uint256 word, uint256 words);
    error SectionMismatch(uint256 section, uint256 stated, uint256 found);
    error QueueOrder(uint256 expected, uint256 got);
    error ContentNotCanonical(uint256 element);

    /// @notice Copies the bytes to memory and reads the statement in front of them.
    function read(bytes calldata data) internal view returns (Statement memory s) {
        if (data.length % WORD != 0 || data.length < STATEMENT_WORDS * WORD) {
            revert DataLength(data.length);
        }
        uint256 start;
        assembly ("memory-safe") {
            start := mload(0x40)
            calldatacopy(start, data.offset, data.length)
            let end := add(start, data.length)
            mstore(end, 0)
            mstore(add(end, 32), 0)
            mstore(0x40, and(add(add(end, PADDING), 31), not(31)))
        }
        s.start = start;
        s.words = data.length / WORD;
        if (word(s, 0) != VERSION) revert DataVersion(word(s, 0));
        if (word(s, 1) != s.words) revert WordCount(word(s, 1), s.words);
        if (word(s, 2) != block.chainid) revert WrongChain(word(s, 2));
        uint256 to = (word(s, 3) << 104) | (word(s, 4) << 48);
        if (word(s, 5) >> 48 != 0 || to | word(s, 5) != uint160(address(this))) {
            revert WrongContract(address(uint160(to | word(s, 5))));
        }
        // Words have 56 bits.
        s.firstEpoch = uint64(word(s, 6));
        s.lastEpoch = uint64(word(s, 7));
        s.round = uint64(word(s, 8));
        s.time = uint64(word(s, 9));
        s.stateBefore = root(s, 14);
        s.stateAfter = root(s, 22);
    }

    /// @notice The records: queue items follow one another from `queueStart`, their bytes extend
    /// the chain; the withdrawals' bytes are hashed one after the other. Sections are whole, and
    /// as many as the statement says.
    function records(Statement memory s, uint64 queueStart, bytes27 chain)
        internal
        pure
        returns (Records memory r)
    {
        r.queueEnd = queueStart;
        r.queueChain = chain;
        uint256[4] memory found;
        bytes memory paid = _allocate(word(s, 11), s.words);
        uint256 pos = STATEMENT_WORDS;
        while (pos < s.words) {
            uint256[SECTIONS] memory counts = _counts(s, pos);
            pos += SECTIONS;
            _overrun(s, pos, counts);
            for (uint256 i = 0; i < counts[0]; ++i) {
                _serve(s, pos, r);
                pos += QUEUE_WORDS;
            }
            _gather(s, pos, paid, found[1], counts[1]);
            pos += counts[1] * WITHDRAWAL_WORDS + counts[2] * SMALL_WORDS + counts[3] * LARGE_WORDS
                + counts[4] * ROW_WORDS;
            found[0] += counts[0];
            found[1] += counts[1];
            found[2] += counts[2] + counts[3];
            found[3] += counts[4];
        }
        for (uint256 i = 0; i < 4; ++i) {
            if (word(s, 10 + i) != found[i]) revert SectionMismatch(i, word(s, 10 + i), found[i]);
        }
        r.withdrawals = keccak256(paid);
    }

    /// @notice C, z and y: z from C and the bytes, y from the bytes, packed three words a number.
    function instances(Statement memory s, uint64[4] calldata content)
        internal
        view
        returns (uint256[3] memory)
    {
        for (uint256 i = 0; i < 4; ++i) {
            if (content[i] >= Goldilocks.P) revert ContentNotCanonical(i);
        }
        (uint256 z0, uint256 z1) = _point(s, content);
        (uint256 y0, uint256 y1) = Goldilocks.evaluate(s.start, s.words, z0, z1);
        return [
            content[0] | (uint256(content[1]) << 64) | (uint256(content[2]) << 128),
            content[3] | (z0 << 64) | (z1 << 128),
            y0 | (y1 << 64)
        ];
    }

    /// @notice The i-th word.
    function word(Statement memory s, uint256 i) internal pure returns (uint256 value) {
        uint256 start = s.start;
        assembly ("memory-safe") {
            value := shr(200, mload(add(start, mul(i, WORD))))
        }
    }

    /// @notice Four residues of eight bytes, the first one highest, from eight halves.
    function root(Statement memory s, uint256 pos) internal pure returns (bytes32) {
        uint256 packed;
        for (uint256 i = pos; i < pos + 8; i += 2) {
            (uint256 low, uint256 high) = (word(s, i), word(s, i + 1));
            if (low >> 32 != 0) revert HalfTooWide(i, low);
            if (high >> 32 != 0) revert HalfTooWide(i + 1, high);
            uint256 residue = low | (high << 32);
            if (residue >= Goldilocks.P) revert AliasedHalves(i);
            packed = (packed << 64) | residue;
        }
        return bytes32(packed);
    }

    /// @dev Both halves mod p of keccak(domain, chain, contract, C, length, keccak(bytes)).
    function _point(Statement memory s, uint64[4] calldata c)
        private
        view
        returns (uint256, uint256)
    {
        uint256 start = s.start;
        uint256 size = s.words * WORD;
        bytes32 digest;
        assembly ("memory-safe") {
            digest := keccak256(start, size)
        }
        uint64 chain = uint64(block.chainid);
        uint64 words = uint64(s.words);
        uint256 point = uint256(
            keccak256(
                abi.encodePacked(
                    DOMAIN, chain, address(this), c[0], c[1], c[2], c[3], words, digest
                )
            )
        );
        return ((point >> 128) % Goldilocks.P, (point & type(uint128).max) % Goldilocks.P);
    }

    function _counts(Statement memory s, uint256 pos)
        private
        pure
        returns (uint256[SECTIONS] memory counts)
    {
        if (pos + SECTIONS > s.words) revert RecordsOverrun(pos + SECTIONS, s.words);
        for (uint256 i = 0; i < SECTIONS; ++i) {
            counts[i] = word(s, pos + i);
        }
    }

    /// @dev The list's records end within the bytes. Counts have 56 bits, so nothing overflows.
    function _overrun(Statement memory s, uint256 pos, uint256[SECTIONS] memory counts)
        private
        pure
    {
        uint256 end = pos + counts[0] * QUEUE_WORDS + counts[1] * WITHDRAWAL_WORDS
            + counts[2] * SMALL_WORDS + counts[3] * LARGE_WORDS + counts[4] * ROW_WORDS;
        if (end > s.words) revert RecordsOverrun(end, s.words);
    }

    /// @dev One outcome: the next index, and the item's own bytes into the chain.
    function _serve(Statement memory s, uint256 pos, Records memory r) private pure {
        if (word(s, pos) != r.queueEnd) revert QueueOrder(r.queueEnd, word(s, pos));
        uint256 item = s.start + (pos + 1) * WORD;
        bytes32 digest;
        assembly ("memory-safe") {
            digest := keccak256(item, ITEM_BYTES)
        }
        r.queueChain = extend(r.queueChain, digest);
        ++r.queueEnd;
    }

    /// @notice The queue's hash chain after one more item [C1].
    function extend(bytes27 chain, bytes32 item) internal pure returns (bytes27) {
        return bytes27(keccak256(abi.encodePacked(chain, item)));
    }

    /// @dev Room for the withdrawals that the statement counts, never more than the bytes hold.
    function _allocate(uint256 count, uint256 words) private pure returns (bytes memory) {
        if (count * WITHDRAWAL_WORDS > words) revert SectionMismatch(1, count, 0);
        return new bytes(count * WITHDRAWAL_BYTES);
    }

    /// @dev Appends a list's withdrawals to those of the lists before it.
    function _gather(
        Statement memory s,
        uint256 pos,
        bytes memory paid,
        uint256 before,
        uint256 count
    ) private pure {
        uint256 end = (before + count) * WITHDRAWAL_BYTES;
        if (end > paid.length) revert SectionMismatch(1, word(s, 11), before + count);
        uint256 from = s.start + pos * WORD;
        assembly ("memory-safe") {
            let to := add(add(paid, 32), mul(before, WITHDRAWAL_BYTES))
            mcopy(to, from, mul(count, WITHDRAWAL_BYTES))
        }
    }
}
