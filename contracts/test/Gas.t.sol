// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlement} from "../src/ISettlement.sol";
import {Scene} from "./Scene.sol";

interface Snapshots {
    function snapshotGasLastCall(string calldata group, string calldata name)
        external
        returns (uint256 gas);
}

/// @dev What calls cost, in snapshots/Settlement.json; calldata and the 21,000 of a transaction
/// come on top. The verifier is a mock: a real one adds its own.
contract GasTest is Scene {
    bytes32 private constant NEXT = bytes32(uint256(9));
    Snapshots private constant SNAPSHOTS = Snapshots(address(vm));

    function measured(string memory name) private returns (uint256) {
        return SNAPSHOTS.snapshotGasLastCall("Settlement", name);
    }

    function test_gas_of_a_batch() public {
        openWith(ALICE, 5e6);
        measured("open");
        vm.prank(BOB);
        settlement.open(0, 5e6, keys(), false);
        measured("open, next");
        Plan memory p = paying(NEXT, 1, ALICE, 5);
        bytes memory data = bytesOf(p);
        ISettlement.Batch memory batch = commit(data);
        measured("commit, one item and one withdrawal");
        bytes memory proof = proofOf(batch);
        settlement.prove(batch, proof);
        measured("prove, but for the verifier");
        bytes memory payments = paymentsOf(p);
        settlement.execute(batch, payments);
        measured("execute, one withdrawal");
        vm.prank(ALICE);
        settlement.pull(0, 5, ALICE);
        measured("pull");
        vm.prank(ALICE);
        settlement.requestWithdraw(1024, 0, 5);
        measured("request a withdrawal");
    }

    /// @dev The slope over 200 accounts.
    function test_gas_of_a_touched_account() public {
        uint256 empty = cost(0, 0, "commit, nothing");
        uint256 small = cost(200, 0, "commit, 200 accounts of 4 slots") - empty;
        uint256 large = cost(0, 200, "commit, 200 accounts of 16 slots") - empty;
        assertTrue(small / 200 < 2_600 && large / 200 < 6_000);
    }

    function cost(uint64 small, uint64 large, string memory name) private returns (uint256 gas) {
        Plan memory p = plan(NEXT);
        (p.small, p.large) = (small, large);
        bytes memory data = bytesOf(p);
        vm.prank(OPERATOR);
        settlement.commit(last, content(), data);
        gas = measured(name);
        vm.prank(OPERATOR);
        settlement.revertBatches();
    }

    /// @dev EIP-170.
    function test_the_contract_can_be_deployed() public view {
        assertTrue(address(settlement).code.length < 24_576);
    }
}
