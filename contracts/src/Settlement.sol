// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BatchData} from "./BatchData.sol";
import {PriorityQueue} from "./PriorityQueue.sol";

/// @notice Commit, prove, execute [P6], [C2]: the operator commits the bytes of a batch, anyone
/// proves it and anyone executes it, each in order. Only execution moves the root.
contract Settlement is PriorityQueue {
    /// @notice [C2] The last epoch of a batch is within this of the block's time.
    uint256 public constant WINDOW = 10 minutes;

    /// @notice Batches committed, proven and executed; the first is number 1.
    uint64 public committed;
    uint64 public proven;
    uint64 public executed;
    /// @notice The state root after the last executed batch.
    bytes32 public root;
    /// @notice Hash of each committed batch, of the genesis as batch 0.
    mapping(uint64 number => bytes32) public batches;

    constructor(Genesis memory g) {
        _setGovernor(g.governor);
        _setOperator(g.operator);
        _setVerifier(g.verifier, g.keyDigest);
        _listAsset(0, g.token, g.scale, g.cap, g.outflow);
        nextAccount = FIRST_ACCOUNT;
        root = g.root;
        Batch memory first;
        (first.root, first.time) = (g.root, g.time);
        batches[0] = hashOf(first);
        emit BatchCommitted(0, batches[0], first);
    }

    /// @notice Takes the bytes of the next batch: they must follow the last committed one, serve
    /// the queue's own items in order, and be of now.
    /// @param last The last committed batch.
    /// @param content C, four elements below p; another one than the proof's cannot be proven.
    /// @param data The batch's words, 7 bytes each.
    function commit(Batch calldata last, uint64[4] calldata content, bytes calldata data)
        external
        onlyOperator
        notFrozen
        returns (Batch memory batch)
    {
        if (last.number != committed) revert OutOfOrder(committed, last.number);
        _check(last, committed);
        BatchData.Statement memory s = BatchData.read(data);
        if (s.stateBefore != last.root) revert StaleRoot(last.root, s.stateBefore);
        if (s.firstEpoch != last.lastEpoch + 1 || s.lastEpoch < s.firstEpoch) {
            revert WrongEpoch(last.lastEpoch + 1, s.firstEpoch);
        }
        if (s.time + WINDOW < block.timestamp || s.time > block.timestamp + WINDOW) {
            revert OutsideWindow(s.time, block.timestamp);
        }
        BatchData.Records memory r = BatchData.records(s, last.queueEnd, last.queueChain);
        if (r.queueEnd > queueTail || r.queueChain != _chainAt(r.queueEnd)) {
            revert QueueMismatch(r.queueEnd);
        }
        batch = Batch({
            number: last.number + 1,
            lastEpoch: s.lastEpoch,
            round: s.round,
            time: s.time,
            queueEnd: r.queueEnd,
            queueChain: r.queueChain,
            root: s.stateAfter,
            withdrawals: r.withdrawals,
            instances: BatchData.instances(s, content)
        });
        bytes32 hash = hashOf(batch);
        batches[batch.number] = hash;
        committed = batch.number;
        emit BatchCommitted(batch.number, hash, batch);
    }

    /// @notice Proves the next committed batch. By anyone.
    function prove(Batch calldata batch, bytes calldata proof) external notFrozen {
        if (batch.number != proven + 1) revert OutOfOrder(proven + 1, batch.number);
        _check(batch, committed);
        if (!verifier.verify(proof, batch.instances)) revert ProofRefused(batch.number);
        proven = batch.number;
        emit BatchProven(batch.number);
    }

    /// @notice Executes the next proven batch: the root moves, its items are served and its
    /// withdrawals credited. By anyone.
    /// @param withdrawals Their bytes, as in the batch's data.
    function execute(Batch calldata batch, bytes calldata withdrawals) external notFrozen {
        if (batch.number != executed + 1) revert OutOfOrder(executed + 1, batch.number);
        if (batch.number > proven) revert NotProven(batch.number);
        _check(batch, proven);
        bytes32 digest = keccak256(withdrawals);
        if (digest != batch.withdrawals) revert WithdrawalsMismatch(batch.withdrawals, digest);
        executed = batch.number;
        root = batch.root;
        queueHead = batch.queueEnd;
        emit BatchExecuted(batch.number, batch.root, batch.lastEpoch, batch.queueEnd);
        for (uint256 pos = 0; pos < withdrawals.length; pos += BatchData.WITHDRAWAL_BYTES) {
            _pay(withdrawals[pos:pos + BatchData.WITHDRAWAL_BYTES]);
        }
    }

    /// @notice Takes back what was committed and not proven, as after a chain reorganisation.
    function revertBatches() external onlyOperator notFrozen {
        uint64 last = committed;
        if (last == proven) revert NothingToRevert();
        committed = proven;
        emit BatchesReverted(proven, last);
    }

    function hashOf(Batch memory batch) public pure returns (bytes32) {
        return keccak256(abi.encode(batch));
    }

    /// @dev The batch with this number as it was committed, the number at most `last`.
    function _check(Batch calldata batch, uint64 last) private view {
        bytes32 hash = hashOf(batch);
        if (batch.number > last || batches[batch.number] != hash) {
            revert UnknownBatch(batch.number, hash);
        }
    }

    /// @dev The queue's chain after this many items.
    function _chainAt(uint64 count) private view returns (bytes27) {
        return count == 0 ? bytes27(0) : items[count - 1].chain;
    }

    /// @dev A record: owner in 7, 7 and 6 bytes, asset, lots.
    function _pay(bytes calldata record) private {
        uint256 low = uint56(bytes7(record[14:21]));
        if (low >> 48 != 0) revert MalformedOwner(low);
        uint256 owner = (uint256(uint56(bytes7(record[0:7]))) << 104)
            | (uint256(uint56(bytes7(record[7:14]))) << 48) | low;
        uint256 asset = uint56(bytes7(record[21:28]));
        _asset(asset);
        _credit(uint32(asset), address(uint160(owner)), uint56(bytes7(record[28:35])));
    }
}
