// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Governed} from "./Governed.sol";

/// @notice The tokens [C1], [C2]: whole lots in, credits out, each owner pulling for himself.
/// @dev Of every asset, token balance ≥ (held + owed) · scale.
abstract contract Vault is Governed, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice Lots of an asset are below this [N3], so that a refused deposit's record is a word.
    uint64 public constant AMOUNT_END = 1 << 56;
    /// @dev The quote bridge closes with cash above −2^60 [N4].
    uint64 internal constant CASH_CAP_END = 1 << 59;
    /// @dev Sizes and open interest are below 2^48 lots.
    uint64 internal constant SIZE_END = 1 << 48;
    /// @dev Assets are rows: below 1,024 less the bridges' first account.
    uint32 internal constant ASSETS = 896;
    /// @notice An hourly limit lets everything out in this many hours.
    uint64 public constant EXIT_HOURS = 24;

    mapping(uint32 asset => Asset) internal _assets;
    mapping(uint32 asset => Outflow) internal _outflows;
    mapping(address token => bool) internal _tokens;
    /// @notice Lots that an owner may pull.
    mapping(uint32 asset => mapping(address owner => uint64)) public owed;

    /// @notice Pays what the caller is owed, to whom he says. A refusing token or receiver stops
    /// nobody else.
    function pull(uint32 asset, uint64 lots, address to) external nonReentrant {
        uint64 credit = owed[asset][msg.sender];
        if (lots == 0 || lots > credit) revert NothingOwed(asset, msg.sender, credit, lots);
        if (!frozen) _countOutflow(asset, lots);
        Asset storage a = _assets[asset];
        owed[asset][msg.sender] = credit - lots;
        a.owed -= lots;
        emit Pulled(asset, msg.sender, to, lots);
        if (!IERC20(a.token).trySafeTransfer(to, uint256(lots) * a.scale)) {
            revert TransferRefused(a.token, to);
        }
    }

    /// @notice Registers a token; an instrument is named by its listing.
    function listAsset(uint32 asset, address token, uint96 scale, uint64 cap, uint64 limit)
        external
        onlyScheduled
    {
        if (asset == 0 || asset >= ASSETS) revert AssetOutOfRange(asset);
        _listAsset(asset, token, scale, cap, limit);
    }

    function raiseCap(uint32 asset, uint64 cap) external onlyScheduled {
        _setCap(asset, cap);
    }

    /// @notice Takes fewer deposits, 0 for none, at once: what is held stays and may leave.
    function lowerCap(uint32 asset, uint64 cap) external onlyGovernor {
        uint64 current = _assets[asset].cap;
        if (cap >= current) revert CapNotLower(cap, current);
        _setCap(asset, cap);
    }

    function setOutflow(uint32 asset, uint64 limit) external onlyScheduled {
        _asset(asset);
        _setOutflow(asset, limit);
    }

    function assetOf(uint32 asset) external view returns (Asset memory) {
        return _assets[asset];
    }

    function outflowOf(uint32 asset) external view returns (Outflow memory) {
        return _outflows[asset];
    }

    /// @notice Lots that may leave now.
    function available(uint32 asset) public view returns (uint64) {
        Outflow memory flow = _outflows[asset];
        return flow.limit - _level(flow);
    }

    function delayOf(bytes4 selector) public pure virtual override returns (uint256) {
        if (
            selector == this.listAsset.selector || selector == this.raiseCap.selector
                || selector == this.setOutflow.selector
        ) return GOVERN_DELAY;
        return super.delayOf(selector);
    }

    /// @dev Takes whole lots from the caller, and exactly these [C1].
    function _receive(uint32 asset, uint64 lots) internal {
        Asset storage a = _asset(asset);
        if (lots == 0 || lots >= AMOUNT_END) revert AmountOutOfRange(lots);
        uint64 held = a.held + lots;
        if (held + a.owed > a.cap) revert CapExceeded(asset, a.cap, held + a.owed);
        a.held = held;
        Outflow storage flow = _outflows[asset];
        uint64 level = _level(flow);
        (flow.level, flow.updated) = (level > lots ? level - lots : 0, uint64(block.timestamp));
        IERC20 token = IERC20(a.token);
        uint256 amount = uint256(lots) * a.scale;
        uint256 before = token.balanceOf(address(this));
        if (!token.trySafeTransferFrom(msg.sender, address(this), amount)) {
            revert TransferRefused(a.token, msg.sender);
        }
        uint256 got = token.balanceOf(address(this)) - before;
        if (got != amount) revert NotReceived(a.token, amount, got);
    }

    /// @dev A withdrawal that a batch pays. The proof keeps it within what is held.
    function _credit(uint32 asset, address owner, uint64 lots) internal {
        Asset storage a = _asset(asset);
        if (lots > a.held) revert VaultExceeded(asset, a.held, lots);
        a.held -= lots;
        a.owed += lots;
        owed[asset][owner] += lots;
        emit Credited(asset, owner, lots);
    }

    function _listAsset(uint32 asset, address token, uint96 scale, uint64 cap, uint64 limit)
        internal
    {
        if (_assets[asset].token != address(0)) revert AssetTaken(asset);
        if (_tokens[token]) revert TokenTaken(token);
        if (token.code.length == 0) revert NotAToken(token);
        if (scale == 0) revert ScaleOutOfRange(scale);
        (_assets[asset].token, _assets[asset].scale) = (token, scale);
        _tokens[token] = true;
        emit AssetListed(asset, token, scale);
        _outflows[asset].limit = limit;
        _setCap(asset, cap);
        _setOutflow(asset, limit);
    }

    function _setCap(uint32 asset, uint64 cap) internal {
        Asset storage a = _asset(asset);
        uint64 most = asset == 0 ? CASH_CAP_END - 1 : a.instrument == 0 ? SIZE_END - 1 : a.bound;
        if (cap > most) revert CapOutOfRange(cap, most);
        a.cap = cap;
        _checkOutflow(asset, _outflows[asset].limit);
        emit CapSet(asset, cap);
    }

    function _setOutflow(uint32 asset, uint64 limit) internal {
        _checkOutflow(asset, limit);
        uint64 level = _level(_outflows[asset]);
        _outflows[asset] =
            Outflow(limit, level > limit ? limit : level, uint64(block.timestamp));
        emit OutflowSet(asset, limit);
    }

    function _asset(uint256 asset) internal view returns (Asset storage a) {
        if (asset >= ASSETS) revert UnknownAsset(asset);
        a = _assets[uint32(asset)];
        if (a.token == address(0)) revert UnknownAsset(asset);
    }

    /// @dev [C4] The limit delays, it cannot hold: all that is or may be there leaves in a day.
    function _checkOutflow(uint32 asset, uint64 limit) private view {
        Asset storage a = _assets[asset];
        uint64 all = a.held + a.owed;
        if (all < a.cap) all = a.cap;
        uint64 least = all / EXIT_HOURS + 1;
        if (limit < least || limit >= CASH_CAP_END) revert OutflowTooLow(limit, least);
    }

    /// @dev Adds to the level, which sinks by the limit in an hour.
    function _countOutflow(uint32 asset, uint64 lots) private {
        Outflow storage flow = _outflows[asset];
        uint64 level = _level(flow);
        if (lots > flow.limit - level) revert OutflowLimited(asset, flow.limit - level, lots);
        (flow.level, flow.updated) = (level + lots, uint64(block.timestamp));
    }

    function _level(Outflow memory flow) private view returns (uint64) {
        uint256 sunk = uint256(flow.limit) * (block.timestamp - flow.updated) / 1 hours;
        return sunk >= flow.level ? 0 : flow.level - uint64(sunk);
    }
}
