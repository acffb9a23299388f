// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IVerifier} from "../../src/IVerifier.sol";

/// @dev Accepts the pairs of instances and proof that it was told, and no other: so a flipped bit,
/// another batch's proof or another instance is refused as by a real one.
contract MockVerifier is IVerifier {
    bytes32 public keyDigest;
    bool public devSetup;
    mapping(bytes32 => bool) private _known;

    constructor(bytes32 key, bool dev) {
        (keyDigest, devSetup) = (key, dev);
    }

    function register(bytes calldata proof, uint256[3] calldata instances) external {
        _known[keccak256(abi.encode(proof, instances))] = true;
    }

    function verify(bytes calldata proof, uint256[3] calldata instances)
        external
        view
        returns (bool)
    {
        return _known[keccak256(abi.encode(proof, instances))];
    }
}
