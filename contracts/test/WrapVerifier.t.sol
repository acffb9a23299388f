// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {WrapVerifier} from "../src/WrapVerifier.sol";
import {Base} from "./Base.sol";

/// @dev As generated verifiers are: no functions, and a revert for what does not hold.
contract Generated {
    bytes32 private immutable _good;

    constructor(bytes memory good) {
        _good = keccak256(good);
    }

    fallback(bytes calldata input) external returns (bytes memory) {
        require(keccak256(input) == _good);
        return "";
    }
}

/// @dev Takes every proof.
contract Willing {
    fallback() external {}
}

contract WrapVerifierTest is Base {
    function test_P6_instances_and_proof_are_handed_over_as_they_are() public {
        uint256[3] memory instances = [uint256(1), 2, (1 << 192) - 1];
        Generated generated = new Generated(
            abi.encodePacked(instances[0], instances[1], instances[2], bytes("proof"))
        );
        WrapVerifier verifier = new WrapVerifier(address(generated), true);
        assertTrue(verifier.verify("proof", instances));
        assertTrue(!verifier.verify("prooF", instances));
        assertTrue(!verifier.verify("proo", instances));
        for (uint256 i = 0; i < 3; ++i) {
            instances[i] += 1;
            assertTrue(!verifier.verify("proof", instances));
            instances[i] -= 1;
        }
        assertEq(verifier.keyDigest(), address(generated).codehash);
        assertTrue(verifier.devSetup());
    }

    /// @dev The generated code takes anything here, as it takes x + r for x.
    function test_P6_an_instance_of_more_than_three_words_is_refused() public {
        WrapVerifier verifier = new WrapVerifier(address(new Willing()), false);
        uint256 r = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
        uint256[3] memory instances = [uint256(1), 2, (1 << 192) - 1];
        assertTrue(verifier.verify("proof", instances));
        for (uint256 i = 0; i < 3; ++i) {
            uint256 x = instances[i];
            instances[i] = x + r;
            assertTrue(!verifier.verify("proof", instances));
            instances[i] = 1 << 192;
            assertTrue(!verifier.verify("proof", instances));
            instances[i] = x;
        }
    }

    function test_a_verifier_without_code_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(WrapVerifier.NoCode.selector, address(5)));
        new WrapVerifier(address(5), false);
    }
}
