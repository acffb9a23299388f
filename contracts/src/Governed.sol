// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";

import {ISettlement} from "./ISettlement.sol";
import {IVerifier} from "./IVerifier.sol";

/// @notice Roles [C4]. The operator can only sequence. The governor acts through a timelock on
/// this contract itself, within hard bounds; no role touches the queue, the freeze or claims.
abstract contract Governed is ISettlement {
    /// @notice An item is served this long after it was queued, or anyone may freeze.
    uint256 public constant SERVICE_TIME = 1 days;
    /// @notice Time to leave: a limit lets all that is held out within a day.
    uint256 public constant EXIT_TIME = 7 days;
    /// @notice What the governor may do waits this long.
    uint256 public constant GOVERN_DELAY = 2 days;
    /// @notice [C4] A new verifier waits longer than deadline plus exit.
    uint256 public constant UPGRADE_DELAY = SERVICE_TIME + EXIT_TIME + 1 days;
    /// @notice A scheduled call lapses this long after it could run.
    uint256 public constant GRACE = 14 days;

    address public governor;
    address public operator;
    IVerifier public verifier;
    bool public frozen;
    /// @notice When a scheduled call may run, by its hash; 0 for none.
    mapping(bytes32 id => uint256) public ready;

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender);
        _;
    }

    modifier onlyOperator() {
        if (msg.sender != operator) revert NotOperator(msg.sender);
        _;
    }

    /// @dev Reached only by `run`.
    modifier onlyScheduled() {
        if (msg.sender != address(this)) revert NotScheduled(msg.sender);
        _;
    }

    modifier notFrozen() {
        if (frozen) revert Frozen();
        _;
    }

    /// @notice Announces a call of this contract, to be run after its delay.
    function schedule(bytes calldata call) external onlyGovernor returns (bytes32 id) {
        uint256 delay = delayOf(call.length < 4 ? bytes4(0) : bytes4(call));
        if (delay == 0) revert UnknownAction(bytes4(call));
        id = keccak256(call);
        if (ready[id] != 0) revert AlreadyScheduled(id);
        ready[id] = block.timestamp + delay;
        emit Scheduled(id, block.timestamp + delay, call);
    }

    function cancel(bytes32 id) external onlyGovernor {
        if (ready[id] == 0) revert UnknownCall(id);
        delete ready[id];
        emit Cancelled(id);
    }

    /// @notice Runs a scheduled call after its delay and before it lapses.
    function run(bytes calldata call) external onlyGovernor {
        bytes32 id = keccak256(call);
        uint256 due = ready[id];
        if (due == 0) revert UnknownCall(id);
        if (block.timestamp < due) revert TooEarly(due);
        if (block.timestamp > due + GRACE) revert Expired(due + GRACE);
        delete ready[id];
        emit Ran(id);
        Address.functionCall(address(this), call);
    }

    function setGovernor(address to) external onlyScheduled {
        _setGovernor(to);
    }

    function setOperator(address to) external onlyScheduled {
        _setOperator(to);
    }

    function setVerifier(IVerifier to, bytes32 keyDigest) external onlyScheduled notFrozen {
        _setVerifier(to, keyDigest);
    }

    /// @notice How long a call waits; 0 for what the governor cannot do.
    function delayOf(bytes4 selector) public pure virtual returns (uint256) {
        if (selector == this.setVerifier.selector) return UPGRADE_DELAY;
        if (selector == this.setGovernor.selector || selector == this.setOperator.selector) {
            return GOVERN_DELAY;
        }
        return 0;
    }

    /// @notice Chains on which the key of an insecure setup is accepted.
    function isDevelopment() public view returns (bool) {
        return block.chainid == 31337 || block.chainid == 1337;
    }

    function _setGovernor(address to) internal {
        if (to == address(0)) revert ZeroAddress();
        governor = to;
        emit GovernorSet(to);
    }

    function _setOperator(address to) internal {
        if (to == address(0)) revert ZeroAddress();
        operator = to;
        emit OperatorSet(to);
    }

    /// @dev Refuses an account without code, a key of zeros, another key than was meant, and a
    /// key of an insecure setup outside development.
    function _setVerifier(IVerifier to, bytes32 keyDigest) internal {
        if (address(to).code.length == 0) revert PlaceholderVerifier(address(to));
        if (keyDigest == 0) revert PlaceholderKey();
        bytes32 got = to.keyDigest();
        if (got != keyDigest) revert WrongKey(keyDigest, got);
        if (to.devSetup() && !isDevelopment()) revert DevSetup(block.chainid);
        verifier = to;
        emit VerifierSet(address(to), keyDigest);
    }
}
