// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BatchData} from "./BatchData.sol";
import {Goldilocks} from "./Goldilocks.sol";
import {Vault} from "./Vault.sol";

/// @notice The queue [J4], [C1]: requests in order of arrival, as a hash chain over exactly the
/// bytes that a batch publishes for them. Nobody can skip, change or reorder an item; each is
/// served by its deadline, done or refused as the proof's rules say, or anyone freezes.
/// @dev Admits only what the circuits have a witness for: every width that they assume is checked
/// here. Twin of `Request::words` in protocol/src/queue.rs.
abstract contract PriorityQueue is Vault {
    uint32 public constant FIRST_ACCOUNT = 1024;
    /// @notice Sub-accounts live in the upper half of the tree [S3].
    uint32 public constant FIRST_SUB_ACCOUNT = 1 << 27;
    uint32 public constant TREE_END = 1 << 28;
    /// @notice An account has at most this many pending items of its owner, and as many of others.
    uint256 public constant MAX_PENDING = 4;
    /// @notice Deadlines are at least this far apart, so that no flood of items, each of which
    /// needs an epoch at most, can make the operator late.
    uint256 public constant ITEM_SPACING = 10 seconds;

    /// @dev Numbers of the requests.
    uint64 private constant DEPOSIT = 1;
    uint64 private constant WITHDRAW = 2;
    uint64 private constant KEY_CHANGE = 3;
    uint64 private constant CANCEL_ALL = 4;
    uint64 private constant FLAG = 5;
    uint64 private constant TAKE = 6;
    uint64 private constant ABSORB = 7;
    uint64 private constant CHANGE = 8;

    /// @dev Places of an item's words.
    uint256 private constant KIND_AT = 0;
    uint256 private constant ACCOUNT_AT = 1;
    uint256 private constant TAKER_AT = 2;
    uint256 private constant SENDER_AT = 3;
    uint256 private constant INSTRUMENT_AT = 6;
    uint256 private constant AMOUNT_AT = 7;
    uint256 private constant LIMIT_AT = 8;
    uint256 private constant FLAGS_AT = 9;
    uint256 private constant KEYS_AT = 10;

    uint64 private constant CREATES = 2;
    uint64 private constant ISOLATED = 4;

    /// @notice The item with this index, once queued.
    mapping(uint64 index => Entry) public items;
    /// @notice Items ever queued.
    uint64 public queueTail;
    /// @notice Items served by executed batches.
    uint64 public queueHead;
    /// @notice The number of the next main account.
    uint32 public nextAccount;
    /// @notice Who may ask for a main account's withdrawals, keys and cancels.
    mapping(uint32 account => address) public ownerOf;
    /// @dev By account, or account and sender: the last four items' numbers, counted from 1.
    mapping(bytes32 => uint256) private _pending;

    /// @notice Opens a main account for the caller with a first deposit [S3].
    function open(uint32 asset, uint64 lots, uint64[10] calldata keys, bool isolated)
        external
        notFrozen
        nonReentrant
        returns (uint32 account)
    {
        account = nextAccount;
        if (account >= FIRST_SUB_ACCOUNT) revert TreeFull();
        nextAccount = account + 1;
        ownerOf[account] = msg.sender;
        emit AccountNumbered(account, msg.sender);
        uint64[20] memory words = _about(DEPOSIT, account);
        words[FLAGS_AT] = CREATES | (isolated ? ISOLATED : 0);
        _setKeys(words, keys);
        _deposit(words, account, asset, lots);
    }

    /// @notice Adds to an account: cash to anyone's, lots to one's own [J3].
    function deposit(uint32 account, uint32 asset, uint64 lots) external notFrozen nonReentrant {
        _checkAccount(account);
        bool own = ownerOf[account] == msg.sender;
        if (asset != 0 && !own && account < FIRST_SUB_ACCOUNT) {
            revert NotOwner(account, ownerOf[account]);
        }
        _deposit(_about(DEPOSIT, account), account, asset, lots);
    }

    /// @notice Withdraws up to this many lots: what keeps the account at its requirement.
    function requestWithdraw(uint32 account, uint32 asset, uint64 lots) external notFrozen {
        _checkOwned(account);
        if (lots == 0 || lots >= AMOUNT_END) revert AmountOutOfRange(lots);
        uint64[20] memory words = _about(WITHDRAW, account);
        words[INSTRUMENT_AT] = _instrument(asset);
        words[AMOUNT_AT] = lots;
        _sign(words);
        _admit(words);
    }

    /// @notice New keys: five elements of the account's own, five of a trading key or zeros.
    function requestKeyChange(uint32 account, uint64[10] calldata keys) external notFrozen {
        _checkOwned(account);
        uint64[20] memory words = _about(KEY_CHANGE, account);
        _setKeys(words, keys);
        _sign(words);
        _admit(words);
    }

    function requestCancelAll(uint32 account) external notFrozen {
        _checkOwned(account);
        uint64[20] memory words = _about(CANCEL_ALL, account);
        _sign(words);
        _admit(words);
    }

    /// @notice Marks a liquidatable account [Q1]. By anyone.
    function requestFlag(uint32 account) external notFrozen {
        _checkAccount(account);
        _countPending(bytes32(uint256(account)), account);
        _admit(_about(FLAG, account));
    }

    /// @notice Takes over a flagged account's holding into the caller's own account [J4].
    /// @param short Whether the holding is a short.
    /// @param size Lots, at most.
    /// @param limit Micro-quote per lot: never a mark beyond it.
    function requestTake(
        uint32 account,
        uint32 taker,
        uint32 instrument,
        bool short,
        uint64 size,
        uint64 limit
    ) external notFrozen {
        _checkAccount(account);
        if (account == taker) revert SelfTrade(account);
        if (instrument & 1023 == 0) revert NoInstrument(instrument);
        if (size == 0 || size >= SIZE_END) revert AmountOutOfRange(size);
        if (limit >= AMOUNT_END) revert LimitOutOfRange(limit);
        _checkOwned(taker);
        _countPending(bytes32(uint256(account)), account);
        uint64[20] memory words = _about(TAKE, account);
        words[TAKER_AT] = taker;
        words[INSTRUMENT_AT] = instrument;
        words[AMOUNT_AT] = size;
        words[LIMIT_AT] = limit;
        words[FLAGS_AT] = short ? 1 : 0;
        _sign(words);
        _admit(words);
    }

    /// @notice Hands a bankrupt account to insurance [Q5]. By anyone.
    function requestAbsorb(uint32 account) external notFrozen {
        _checkAccount(account);
        _countPending(bytes32(uint256(account)), account);
        _admit(_about(ABSORB, account));
    }

    /// @notice A listing or a change of parameters [T7]: 14 parameters of a row, and a listing's
    /// first price. The state lets a change wait again, and bounds each of its steps.
    function requestChange(uint64[15] calldata change) external onlyScheduled notFrozen {
        _checkChange(change);
        uint64[20] memory words;
        words[KIND_AT] = CHANGE;
        for (uint256 i = 0; i < 15; ++i) {
            words[i + 1] = change[i];
        }
        if (change[1] == 2) _backs(change);
        _admit(words);
    }

    /// @notice [C3] When an item was not served in time, by anyone: no batch and no request
    /// after it, and what is credited is pulled without a limit.
    function freeze() external notFrozen {
        if (queueHead == queueTail) revert NothingQueued();
        uint40 deadline = items[queueHead].deadline;
        if (block.timestamp <= deadline) revert NotOverdue(queueHead, deadline);
        frozen = true;
        emit WasFrozen(queueHead, deadline);
    }

    function delayOf(bytes4 selector) public pure override returns (uint256) {
        if (selector == this.requestChange.selector) return GOVERN_DELAY;
        return super.delayOf(selector);
    }

    function _deposit(uint64[20] memory words, uint32 account, uint32 asset, uint64 lots)
        private
    {
        bool own = ownerOf[account] == msg.sender;
        _countPending(own ? _ownKey(account) : bytes32(uint256(account)), account);
        words[INSTRUMENT_AT] = _instrument(asset);
        words[AMOUNT_AT] = lots;
        _sign(words);
        _receive(asset, lots);
        _admit(words);
    }

    /// @dev [T8] A listing of lots names the asset's instrument, and with it the most that may be
    /// deposited: closing an epoch must not fail for a deposit. A later change leaves the bound.
    function _backs(uint64[15] calldata change) private {
        Asset storage a = _asset(change[2]);
        if (a.instrument == change[0]) return;
        if (a.cap > change[5]) revert CapOutOfRange(a.cap, change[5]);
        (a.instrument, a.bound) = (uint32(change[0]), change[5]);
    }

    /// @dev Next in the chain. Words 10 to 19 are published as halves, the others as they are.
    function _admit(uint64[20] memory words) private {
        uint64 index = queueTail;
        bytes memory published = new bytes(BatchData.ITEM_BYTES);
        uint256 pos;
        for (uint256 i = 0; i < 20; ++i) {
            if (i < KEYS_AT) {
                pos = _write(published, pos, words[i]);
            } else {
                pos = _write(published, pos, words[i] & type(uint32).max);
                pos = _write(published, pos, words[i] >> 32);
            }
        }
        bytes27 chain;
        uint256 deadline = block.timestamp + SERVICE_TIME;
        if (index != 0) {
            Entry memory last = items[index - 1];
            chain = last.chain;
            if (deadline < last.deadline + ITEM_SPACING) deadline = last.deadline + ITEM_SPACING;
        }
        chain = BatchData.extend(chain, keccak256(published));
        items[index] = Entry(chain, uint40(deadline));
        queueTail = index + 1;
        emit ItemQueued(index, uint40(deadline), words);
    }

    /// @dev A word below 2^56 in its 7 bytes.
    function _write(bytes memory to, uint256 pos, uint64 word) private pure returns (uint256) {
        for (uint256 i = 0; i < 7; ++i) {
            to[pos + i] = bytes1(uint8(word >> (48 - 8 * i)));
        }
        return pos + 7;
    }

    function _about(uint64 kind, uint32 account) private pure returns (uint64[20] memory words) {
        words[KIND_AT] = kind;
        words[ACCOUNT_AT] = account;
    }

    /// @dev The caller in 7, 7 and 6 bytes.
    function _sign(uint64[20] memory words) private view {
        uint160 sender = uint160(msg.sender);
        words[SENDER_AT] = uint64(sender >> 104);
        words[SENDER_AT + 1] = uint64((sender >> 48) & (AMOUNT_END - 1));
        words[SENDER_AT + 2] = uint64(sender & (SIZE_END - 1));
    }

    /// @dev Canonical elements, the first five not all zero.
    function _setKeys(uint64[20] memory words, uint64[10] calldata keys) private pure {
        uint64 any;
        for (uint256 i = 0; i < 10; ++i) {
            if (keys[i] >= Goldilocks.P) revert KeyNotCanonical(i);
            if (i < 5) any |= keys[i];
            words[KEYS_AT + i] = keys[i];
        }
        if (any == 0) revert NoKey();
    }

    /// @dev A user's account: numbered, or a sub-account, of which L1 does not know.
    function _checkAccount(uint32 account) private view {
        if (account < FIRST_ACCOUNT) revert SystemAccount(account);
        if (account >= TREE_END) revert OutsideTree(account);
        if (account < FIRST_SUB_ACCOUNT && account >= nextAccount) revert UnknownAccount(account);
    }

    /// @dev Of a main account its owner; of a sub-account the ledger decides whose it is.
    function _checkOwned(uint32 account) private {
        _checkAccount(account);
        if (account < FIRST_SUB_ACCOUNT && ownerOf[account] != msg.sender) {
            revert NotOwner(account, ownerOf[account]);
        }
        _countPending(_ownKey(account), account);
    }

    function _ownKey(uint32 account) private view returns (bytes32) {
        return keccak256(abi.encode(account, msg.sender));
    }

    /// @dev [J4] The fourth last item must have been served: four numbers of 64 bits in a word.
    function _countPending(bytes32 key, uint32 account) private {
        uint256 last = _pending[key];
        if (last >> 192 > queueHead) revert TooManyPending(account);
        _pending[key] = (last << 64) | (queueTail + 1);
    }

    /// @dev 0 for the quote asset; else the instrument that a listing named.
    function _instrument(uint32 asset) private view returns (uint64) {
        uint32 instrument = _asset(asset).instrument;
        if (asset != 0 && instrument == 0) revert NoInstrument(instrument);
        return instrument;
    }

    /// @dev [N1]: the widths that the row's circuit assumes, and the bounds of every row. Words:
    /// id, kind, asset, M, max size, max open interest, initial long and short, maintenance long
    /// and short, penalty, fill band, price band, funding cap; price.
    function _checkChange(uint64[15] calldata c) private pure {
        (uint64 id, uint64 kind, uint64 asset) = (c[0], c[1], c[2]);
        uint64 row = id & 1023;
        _require(id <= type(uint32).max && row != 0, 0, id);
        _require(kind == 1 || (kind == 2 && row < ASSETS), 1, kind);
        _require(asset == (kind == 2 ? row : 0), 2, asset);
        uint256 max = c[3];
        _require(max >= 64e6 && max < 1 << 42, 3, c[3]);
        _require(c[4] != 0 && max * c[4] < 1 << 55, 4, c[4]);
        _require(c[5] != 0 && max * c[5] < 1 << 60 && c[5] < SIZE_END, 5, c[5]);
        for (uint256 i = 6; i < 14; ++i) {
            _require(c[i] <= 1e6, i, c[i]);
        }
        _require(c[10] < c[8] && c[10] < c[9], 10, c[10]);
        _require(c[11] + c[8] < c[6] && c[11] + c[9] < c[7], 11, c[11]);
        _require(c[14] == 0 || (c[14] >= 1e6 && c[14] <= 1e8 && 64 * c[14] <= max), 14, c[14]);
    }

    function _require(bool holds, uint256 word, uint64 value) private pure {
        if (!holds) revert ChangeOutOfRange(word, value);
    }
}
