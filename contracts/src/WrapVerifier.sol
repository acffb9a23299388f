// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVerifier} from "./IVerifier.sol";

/// @notice Puts a generated halo2 verifier behind `IVerifier`: it takes three instances and the
/// proof as bare calldata, and reverts on a proof that does not hold.
/// @dev The key is in the generated code, so the code's hash is the key's digest: nobody claims it.
/// That code reduces each instance mod r, so x and x + r are one to it: an instance of more than
/// its three words of 64 bits is refused here, whoever calls.
contract WrapVerifier is IVerifier {
    address public immutable generated;
    bytes32 public immutable keyDigest;
    bool public immutable devSetup;

    error NoCode(address generated);

    /// @param dev Whether the key was made with an insecure setup.
    constructor(address generated_, bool dev) {
        if (generated_.code.length == 0) revert NoCode(generated_);
        (generated, keyDigest, devSetup) = (generated_, generated_.codehash, dev);
    }

    /// @inheritdoc IVerifier
    function verify(bytes calldata proof, uint256[3] calldata instances)
        external
        view
        returns (bool holds)
    {
        if ((instances[0] | instances[1] | instances[2]) >> 192 != 0) return false;
        (holds,) = generated.staticcall(
            abi.encodePacked(instances[0], instances[1], instances[2], proof)
        );
    }
}
