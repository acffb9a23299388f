// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVerifier} from "./IVerifier.sol";

/// @notice Keeps the tokens of the margin exchange, moves its state root by proofs alone, serves
/// the queue by which anyone reaches it without the operator, and freezes when it is not served.
///
/// Assumes: the verifier accepts true statements only; the proof's own rules (docs/spec) hold of
/// what it accepts; block time is within minutes of real time; listed tokens neither rebase nor
/// charge nor reenter in `balanceOf` (what they do in transfers is checked).
///
/// Units: *lots* are micro-quote of asset 0 and whole lots of every other, below 2^56; a lot is
/// `scale` base units of the token. Words are what the proof's circuits call them (docs/l1.md).
interface ISettlement {
    /// @notice A batch as it was committed; whoever proves or executes it shows it again.
    struct Batch {
        uint64 number;
        uint64 lastEpoch;
        uint64 round;
        uint64 time;
        /// @dev Items below are served when it executes.
        uint64 queueEnd;
        bytes27 queueChain;
        /// @dev State root after it: four residues of eight bytes.
        bytes32 root;
        /// @dev keccak of the withdrawals' bytes.
        bytes32 withdrawals;
        /// @dev C, z and y.
        uint256[3] instances;
    }

    /// @notice A token that backs an instrument; asset 0 is the quote asset.
    struct Asset {
        address token;
        /// @dev Base units of the token in a lot.
        uint96 scale;
        /// @dev Lots that may be held.
        uint64 cap;
        /// @dev Lots deposited and not yet credited to anyone for withdrawal.
        uint64 held;
        /// @dev Lots credited and not yet pulled.
        uint64 owed;
        /// @dev Id of the instrument, 0 for the quote asset and until a listing names one.
        uint32 instrument;
        /// @dev That instrument's largest open interest, which no cap exceeds [T8].
        uint64 bound;
    }

    /// @notice Net lots that may leave in an hour, and what counts against it now.
    struct Outflow {
        uint64 limit;
        uint64 level;
        uint64 updated;
    }

    /// @notice An item's place in the queue: the hash chain with it, and when it must be served.
    struct Entry {
        bytes27 chain;
        uint40 deadline;
    }

    /// @notice What the contract is made with.
    struct Genesis {
        address governor;
        address operator;
        IVerifier verifier;
        /// @dev The verifier must answer this digest.
        bytes32 keyDigest;
        /// @dev State root and time of epoch 0 [S7].
        bytes32 root;
        uint64 time;
        /// @dev The quote asset.
        address token;
        uint96 scale;
        uint64 cap;
        uint64 outflow;
    }

    // Batches.
    event BatchCommitted(uint64 indexed number, bytes32 hash, Batch batch);
    event BatchProven(uint64 indexed number);
    event BatchExecuted(uint64 indexed number, bytes32 root, uint64 lastEpoch, uint64 queueEnd);
    event BatchesReverted(uint64 kept, uint64 last);
    event Credited(uint32 indexed asset, address indexed owner, uint64 lots);
    event Pulled(uint32 indexed asset, address indexed owner, address to, uint64 lots);
    // Queue.
    event ItemQueued(uint64 indexed index, uint40 deadline, uint64[20] words);
    event AccountNumbered(uint32 indexed account, address indexed owner);
    event WasFrozen(uint64 item, uint40 deadline);
    // Governance.
    event Scheduled(bytes32 indexed id, uint256 ready, bytes call);
    event Cancelled(bytes32 indexed id);
    event Ran(bytes32 indexed id);
    event GovernorSet(address governor);
    event OperatorSet(address operator);
    event VerifierSet(address verifier, bytes32 keyDigest);
    event AssetListed(uint32 indexed asset, address token, uint96 scale);
    event CapSet(uint32 indexed asset, uint64 cap);
    event OutflowSet(uint32 indexed asset, uint64 limit);

    // Who and when.
    error NotGovernor(address caller);
    error NotOperator(address caller);
    error NotScheduled(address caller);
    error ZeroAddress();
    error Frozen();
    error NotOverdue(uint64 item, uint256 deadline);
    error NothingQueued();
    // Timelock.
    error UnknownAction(bytes4 selector);
    error AlreadyScheduled(bytes32 id);
    error UnknownCall(bytes32 id);
    error TooEarly(uint256 ready);
    error Expired(uint256 last);
    // Verifier.
    error PlaceholderVerifier(address verifier);
    error PlaceholderKey();
    error WrongKey(bytes32 expected, bytes32 got);
    error DevSetup(uint256 chainId);
    // Batches.
    error UnknownBatch(uint64 number, bytes32 hash);
    error OutOfOrder(uint64 expected, uint64 got);
    error NotProven(uint64 number);
    error StaleRoot(bytes32 expected, bytes32 got);
    error WrongEpoch(uint64 expected, uint64 got);
    error OutsideWindow(uint64 time, uint256 now_);
    error QueueMismatch(uint64 queueEnd);
    error ProofRefused(uint64 number);
    error WithdrawalsMismatch(bytes32 expected, bytes32 got);
    error MalformedOwner(uint256 word);
    error NothingToRevert();
    // Assets.
    error UnknownAsset(uint256 asset);
    error AssetOutOfRange(uint32 asset);
    error AssetTaken(uint32 asset);
    error TokenTaken(address token);
    error NotAToken(address token);
    error ScaleOutOfRange(uint96 scale);
    error CapOutOfRange(uint64 cap, uint64 most);
    error CapNotLower(uint64 cap, uint64 current);
    error OutflowTooLow(uint64 limit, uint64 least);
    error CapExceeded(uint32 asset, uint64 cap, uint64 wanted);
    error VaultExceeded(uint32 asset, uint64 held, uint64 wanted);
    error NotReceived(address token, uint256 expected, uint256 got);
    error TransferRefused(address token, address counterparty);
    error NothingOwed(uint32 asset, address owner, uint64 owed, uint64 wanted);
    error OutflowLimited(uint32 asset, uint64 available, uint64 wanted);
    // Requests.
    error SystemAccount(uint32 account);
    error OutsideTree(uint32 account);
    error UnknownAccount(uint32 account);
    error NotOwner(uint32 account, address owner);
    error AmountOutOfRange(uint64 amount);
    error LimitOutOfRange(uint64 limit);
    error NoInstrument(uint32 instrument);
    error SelfTrade(uint32 account);
    error KeyNotCanonical(uint256 element);
    error NoKey();
    error TooManyPending(uint256 account);
    error TreeFull();
    error ChangeOutOfRange(uint256 word, uint64 value);
}
