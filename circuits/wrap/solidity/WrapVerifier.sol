// SPDX-License-Identifier: MIT
pragma solidity ^0.8.19;

/// @notice Answers for the generated verifier: the settlement contract's `IVerifier`.
/// @dev The generated code reduces each instance mod r, so x and x + r are one to it. Instances are
/// three words of 64 bits here: what has more is refused before.
contract WrapVerifier {
    /// @notice The generated verifier.
    address public immutable halo2;
    /// @notice Whether the key comes from a setup whose secret anybody may know.
    bool public immutable devSetup;

    error NoCode(address verifier);

    constructor(address verifier, bool isDevelopment) {
        if (verifier.code.length == 0) revert NoCode(verifier);
        halo2 = verifier;
        devSetup = isDevelopment;
    }

    /// @notice The verifying key is in the generated verifier's code; this is its hash.
    function keyDigest() external view returns (bytes32) {
        return halo2.codehash;
    }

    /// @notice Whether the proof proves the batch circuit's statement for these public inputs.
    function verify(bytes calldata proof, uint256[3] calldata instances)
        external
        view
        returns (bool)
    {
        if ((instances[0] | instances[1] | instances[2]) >> 192 != 0) return false;
        (bool accepted,) =
            halo2.staticcall(abi.encodePacked(instances[0], instances[1], instances[2], proof));
        return accepted;
    }
}
