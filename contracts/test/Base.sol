// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The cheat codes of forge that the tests use.
interface Vm {
    function warp(uint256 time) external;
    /// @dev Unlike `block.timestamp`, never taken from before a warp by the optimiser.
    function getBlockTimestamp() external view returns (uint256);
    function chainId(uint256 id) external;
    function prank(address sender) external;
    function startPrank(address sender) external;
    function stopPrank() external;
    function expectRevert(bytes calldata data) external;
    function etch(address target, bytes calldata code) external;
    function readFile(string calldata path) external view returns (string memory);
    function parseJsonBytes(string calldata json, string calldata key)
        external
        pure
        returns (bytes memory);
    function parseJsonUint(string calldata json, string calldata key)
        external
        pure
        returns (uint256);
    function parseJsonUintArray(string calldata json, string calldata key)
        external
        pure
        returns (uint256[] memory);
    function parseJsonAddress(string calldata json, string calldata key)
        external
        pure
        returns (address);
}

/// @dev What forge finds tests by, and assertions that stop at the first failure.
abstract contract Base {
    bool public constant IS_TEST = true;
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    error Different(uint256 left, uint256 right);
    error Untrue();

    function assertEq(uint256 left, uint256 right) internal pure {
        if (left != right) revert Different(left, right);
    }

    function assertEq(bytes32 left, bytes32 right) internal pure {
        if (left != right) revert Different(uint256(left), uint256(right));
    }

    function assertEq(address left, address right) internal pure {
        if (left != right) revert Different(uint160(left), uint160(right));
    }

    function assertTrue(bool holds) internal pure {
        if (!holds) revert Untrue();
    }

    /// @dev Between both, both included.
    function bound(uint256 x, uint256 least, uint256 most) internal pure returns (uint256) {
        return least + x % (most - least + 1);
    }
}
