// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlement} from "../src/ISettlement.sol";
import {IVerifier} from "../src/IVerifier.sol";
import {Settlement} from "../src/Settlement.sol";
import {MockVerifier} from "./mocks/MockVerifier.sol";
import {MockToken} from "./mocks/Tokens.sol";
import {Scene} from "./Scene.sol";

/// @dev Roles, the timelock with its bounds, and what deployment refuses.
contract GovernedTest is Scene {
    function refused(address sender, bytes memory call, bytes memory why) private {
        address[3] memory roles =
            [settlement.governor(), settlement.operator(), address(settlement.verifier())];
        vm.prank(sender);
        (bool done, bytes memory got) = address(settlement).call(call);
        assertTrue(!done);
        assertEq(keccak256(got), keccak256(why));
        assertEq(settlement.governor(), roles[0]);
        assertEq(settlement.operator(), roles[1]);
        assertEq(address(settlement.verifier()), roles[2]);
    }

    function refusedRun(bytes memory call, bytes memory why) private {
        vm.prank(GOVERNOR);
        settlement.schedule(call);
        vm.warp(vm.getBlockTimestamp() + settlement.delayOf(bytes4(call)));
        refused(GOVERNOR, abi.encodeCall(settlement.run, (call)), why);
    }

    /// @dev Each privileged call by each other one.
    function test_C4_no_privileged_call_by_anyone_else() public {
        bytes[6] memory scheduled = [
            abi.encodeCall(settlement.setGovernor, (ALICE)),
            abi.encodeCall(settlement.setOperator, (ALICE)),
            abi.encodeCall(settlement.setVerifier, (IVerifier(address(verifier)), KEY)),
            abi.encodeCall(settlement.listAsset, (5, address(quote), 1, 5, 5)),
            abi.encodeCall(settlement.raiseCap, (0, 5)),
            abi.encodeCall(settlement.setOutflow, (0, 5))
        ];
        address[3] memory callers = [ALICE, OPERATOR, GOVERNOR];
        for (uint256 c = 0; c < 3; ++c) {
            bytes memory why =
                abi.encodeWithSelector(ISettlement.NotScheduled.selector, callers[c]);
            for (uint256 i = 0; i < scheduled.length; ++i) {
                refused(callers[c], scheduled[i], why);
            }
            if (callers[c] == GOVERNOR) continue;
            why = abi.encodeWithSelector(ISettlement.NotGovernor.selector, callers[c]);
            refused(callers[c], abi.encodeCall(settlement.schedule, (scheduled[0])), why);
            refused(callers[c], abi.encodeCall(settlement.run, (scheduled[0])), why);
            refused(callers[c], abi.encodeCall(settlement.cancel, (bytes32(0))), why);
            refused(callers[c], abi.encodeCall(settlement.lowerCap, (0, 0)), why);
        }
        bytes memory commitCall =
            abi.encodeCall(settlement.commit, (last, content(), bytesOf(plan(GENESIS))));
        for (uint256 c = 0; c < 3; c += 2) {
            bytes memory why = abi.encodeWithSelector(ISettlement.NotOperator.selector, callers[c]);
            refused(callers[c], commitCall, why);
            refused(callers[c], abi.encodeCall(settlement.revertBatches, ()), why);
        }
    }

    function test_C4_what_is_scheduled_waits_and_lapses() public {
        bytes memory call = abi.encodeCall(settlement.setOperator, (ALICE));
        bytes32 id = keccak256(call);
        bytes memory runCall = abi.encodeCall(settlement.run, (call));
        refused(GOVERNOR, runCall, abi.encodeWithSelector(ISettlement.UnknownCall.selector, id));
        vm.prank(GOVERNOR);
        settlement.schedule(call);
        refused(
            GOVERNOR,
            abi.encodeCall(settlement.schedule, (call)),
            abi.encodeWithSelector(ISettlement.AlreadyScheduled.selector, id)
        );
        uint256 at_ = START + 2 days;
        vm.warp(at_ - 1);
        refused(GOVERNOR, runCall, abi.encodeWithSelector(ISettlement.TooEarly.selector, at_));
        vm.warp(at_ + 14 days + 1);
        bytes memory why = abi.encodeWithSelector(ISettlement.Expired.selector, at_ + 14 days);
        refused(GOVERNOR, runCall, why);
        vm.prank(GOVERNOR);
        settlement.cancel(id);
        refused(GOVERNOR, runCall, abi.encodeWithSelector(ISettlement.UnknownCall.selector, id));
        govern(call);
        assertEq(settlement.operator(), ALICE);
        // Once.
        refused(GOVERNOR, runCall, abi.encodeWithSelector(ISettlement.UnknownCall.selector, id));
    }

    /// @dev The queue, the freeze and claims are nobody's to touch.
    function test_C4_the_timelock_runs_a_closed_list_of_calls() public {
        bytes[6] memory calls = [
            abi.encodeCall(settlement.freeze, ()),
            abi.encodeCall(settlement.pull, (0, 5, ALICE)),
            abi.encodeCall(settlement.requestFlag, (1024)),
            abi.encodeCall(settlement.requestWithdraw, (1024, 0, 5)),
            abi.encodeCall(settlement.revertBatches, ()),
            bytes(hex"010203")
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes4 selector = bytes4(calls[i]);
            refused(
                GOVERNOR,
                abi.encodeCall(settlement.schedule, (calls[i])),
                abi.encodeWithSelector(ISettlement.UnknownAction.selector, selector)
            );
        }
    }

    function test_C4_a_verifier_waits_longer_than_deadline_and_exit() public {
        assertTrue(
            settlement.UPGRADE_DELAY() > settlement.SERVICE_TIME() + settlement.EXIT_TIME()
        );
        IVerifier next = IVerifier(address(new MockVerifier("next", false)));
        bytes memory call = abi.encodeCall(settlement.setVerifier, (next, "next"));
        assertEq(settlement.delayOf(bytes4(call)), settlement.UPGRADE_DELAY());
        govern(call);
        assertEq(address(settlement.verifier()), address(next));
    }

    function test_C4_no_new_verifier_when_frozen() public {
        bytes memory call =
            abi.encodeCall(settlement.setVerifier, (IVerifier(address(verifier)), KEY));
        openWith(ALICE, 5);
        vm.prank(GOVERNOR);
        settlement.schedule(call);
        vm.warp(START + 9 days);
        settlement.freeze();
        refused(
            GOVERNOR,
            abi.encodeCall(settlement.run, (call)),
            abi.encodeWithSelector(ISettlement.Frozen.selector)
        );
    }

    /// @dev A proof of another key's verifier is no proof here.
    function test_P6_a_proof_of_another_key_is_refused() public {
        MockVerifier other = new MockVerifier("other", false);
        ISettlement.Batch memory batch = commit(bytesOf(plan(bytes32(uint256(1)))));
        other.register("proof", batch.instances);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ProofRefused.selector, 1));
        settlement.prove(batch, "proof");
        assertEq(settlement.proven(), 0);
    }

    function test_deployment_refuses_a_placeholder() public {
        ISettlement.Genesis memory g = genesis();
        g.verifier = IVerifier(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PlaceholderVerifier.selector, ALICE));
        new Settlement(g);
        g.verifier = IVerifier(address(new MockVerifier(0, false)));
        g.keyDigest = 0;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PlaceholderKey.selector));
        new Settlement(g);
        g.keyDigest = KEY;
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.WrongKey.selector, KEY, bytes32(0))
        );
        new Settlement(g);
        g = genesis();
        g.governor = address(0);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ZeroAddress.selector));
        new Settlement(g);
        g = genesis();
        g.operator = address(0);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ZeroAddress.selector));
        new Settlement(g);
        g = genesis();
        g.token = ALICE;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotAToken.selector, ALICE));
        new Settlement(g);
    }

    function test_deployment_refuses_an_insecure_setup_outside_development() public {
        ISettlement.Genesis memory g = genesis();
        g.verifier = IVerifier(address(new MockVerifier(KEY, true)));
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.DevSetup.selector, 1));
        new Settlement(g);
        vm.chainId(31337);
        new Settlement(g);
    }

    function test_an_upgrade_refuses_the_same() public {
        IVerifier dev = IVerifier(address(new MockVerifier(KEY, true)));
        refusedRun(
            abi.encodeCall(settlement.setVerifier, (IVerifier(ALICE), KEY)),
            abi.encodeWithSelector(ISettlement.PlaceholderVerifier.selector, ALICE)
        );
        vm.chainId(1);
        refusedRun(
            abi.encodeCall(settlement.setVerifier, (dev, KEY)),
            abi.encodeWithSelector(ISettlement.DevSetup.selector, 1)
        );
    }

    function test_C4_limits_delay_and_cannot_hold() public {
        uint64 least = CAP / 24 + 1;
        refusedRun(
            abi.encodeCall(settlement.setOutflow, (0, 0)),
            abi.encodeWithSelector(ISettlement.OutflowTooLow.selector, 0, least)
        );
        refusedRun(
            abi.encodeCall(settlement.setOutflow, (0, least - 1)),
            abi.encodeWithSelector(ISettlement.OutflowTooLow.selector, least - 1, least)
        );
        refusedRun(
            abi.encodeCall(settlement.raiseCap, (0, 2 * CAP)),
            abi.encodeWithSelector(ISettlement.OutflowTooLow.selector, least, 2 * CAP / 24 + 1)
        );
        refusedRun(
            abi.encodeCall(settlement.raiseCap, (0, 1 << 59)),
            abi.encodeWithSelector(ISettlement.CapOutOfRange.selector, 1 << 59, (1 << 59) - 1)
        );
        vm.prank(GOVERNOR);
        settlement.cancel(keccak256(abi.encodeCall(settlement.raiseCap, (0, 2 * CAP))));
        govern(abi.encodeCall(settlement.setOutflow, (0, CAP)));
        govern(abi.encodeCall(settlement.raiseCap, (0, 2 * CAP)));
        assertEq(settlement.assetOf(0).cap, 2 * CAP);
        refused(
            GOVERNOR,
            abi.encodeCall(settlement.lowerCap, (0, 2 * CAP)),
            abi.encodeWithSelector(ISettlement.CapNotLower.selector, 2 * CAP, 2 * CAP)
        );
    }

    function test_a_token_backs_one_asset() public {
        MockToken token = new MockToken(8);
        bytes memory call;
        call = abi.encodeCall(settlement.listAsset, (0, address(token), 1, 5, 5));
        refusedRun(call, abi.encodeWithSelector(ISettlement.AssetOutOfRange.selector, 0));
        call = abi.encodeCall(settlement.listAsset, (896, address(token), 1, 5, 5));
        refusedRun(call, abi.encodeWithSelector(ISettlement.AssetOutOfRange.selector, 896));
        call = abi.encodeCall(settlement.listAsset, (5, address(quote), 1, 5, 5));
        refusedRun(call, abi.encodeWithSelector(ISettlement.TokenTaken.selector, address(quote)));
        call = abi.encodeCall(settlement.listAsset, (5, address(token), 0, 5, 5));
        refusedRun(call, abi.encodeWithSelector(ISettlement.ScaleOutOfRange.selector, 0));
        govern(abi.encodeCall(settlement.listAsset, (5, address(token), 1e3, 5, 5)));
        call = abi.encodeCall(settlement.listAsset, (5, address(new MockToken(1)), 1, 5, 5));
        refusedRun(call, abi.encodeWithSelector(ISettlement.AssetTaken.selector, 5));
    }
}
