// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlement} from "../src/ISettlement.sol";
import {MockToken} from "./mocks/Tokens.sol";
import {Scene} from "./Scene.sol";

/// @dev Tokens that misbehave, receivers that are refused, and the limit on what leaves.
contract VaultTest is Scene {
    bytes32 private constant NEXT = bytes32(uint256(9));

    function test_C1_a_token_that_takes_a_fee_is_refused() public {
        quote.setMood(MockToken.Mood.Fee, settlement);
        vm.prank(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.NotReceived.selector, address(quote), 1e6, 99e4
            )
        );
        settlement.open(0, 1e6, keys(), false);
        assertEq(settlement.queueTail(), 0);
    }

    function test_C1_a_token_that_answers_false_is_refused() public {
        quote.setMood(MockToken.Mood.False, settlement);
        vm.prank(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.TransferRefused.selector, address(quote), ALICE)
        );
        settlement.open(0, 1e6, keys(), false);
        quote.setMood(MockToken.Mood.Honest, settlement);
        openWith(ALICE, 1e6);
        settle(paying(NEXT, 1, BOB, 5));
        quote.setMood(MockToken.Mood.False, settlement);
        vm.prank(BOB);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.TransferRefused.selector, address(quote), BOB)
        );
        settlement.pull(0, 5, BOB);
        assertEq(settlement.owed(0, BOB), 5);
    }

    /// @dev The inner call's error is the token's, which a try turns into a refusal.
    function test_a_token_that_reenters_is_refused() public {
        openWith(ALICE, 1e6);
        settle(paying(NEXT, 1, address(quote), 9));
        quote.setMood(MockToken.Mood.Reenter, settlement);
        bytes memory why =
            abi.encodeWithSelector(ISettlement.TransferRefused.selector, address(quote), ALICE);
        vm.prank(ALICE);
        vm.expectRevert(why);
        settlement.deposit(1024, 0, 7);
        vm.prank(address(quote));
        vm.expectRevert(why);
        settlement.pull(0, 3, ALICE);
        assertEq(settlement.owed(0, address(quote)), 9);
        assertEq(settlement.queueTail(), 1);
    }

    function test_C2_a_blacklisted_receiver_stops_nobody_else() public {
        openWith(ALICE, 1e6);
        Plan memory p = paying(NEXT, 1, ALICE, 5);
        p.payments = new Payment[](2);
        p.payments[0] = Payment(ALICE, 0, 5);
        p.payments[1] = Payment(BOB, 0, 6);
        quote.blacklist(ALICE);
        settle(p);
        vm.prank(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.TransferRefused.selector, address(quote), ALICE)
        );
        settlement.pull(0, 5, ALICE);
        assertEq(settlement.owed(0, ALICE), 5);
        uint256 before = quote.balanceOf(BOB);
        vm.prank(BOB);
        settlement.pull(0, 6, BOB);
        assertEq(quote.balanceOf(BOB) - before, 6);
    }

    function test_C2_nobody_pulls_more_than_his_own() public {
        openWith(ALICE, 1e6);
        settle(paying(NEXT, 1, ALICE, 5));
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingOwed.selector, 0, BOB, 0, 5));
        settlement.pull(0, 5, BOB);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingOwed.selector, 0, ALICE, 5, 6));
        settlement.pull(0, 6, ALICE);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingOwed.selector, 0, ALICE, 5, 0));
        settlement.pull(0, 0, ALICE);
        settlement.pull(0, 5, ALICE);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingOwed.selector, 0, ALICE, 0, 5));
        settlement.pull(0, 5, ALICE);
        vm.stopPrank();
    }

    function test_C2_net_outflow_is_limited_by_the_hour() public {
        uint64 limit = CAP / 24 + 1;
        openWith(ALICE, CAP);
        settle(paying(NEXT, 1, ALICE, CAP));
        vm.startPrank(ALICE);
        settlement.pull(0, limit, ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.OutflowLimited.selector, 0, 0, limit)
        );
        settlement.pull(0, limit, ALICE);
        vm.warp(vm.getBlockTimestamp() + 30 minutes);
        uint64 half = settlement.available(0);
        assertTrue(half >= limit / 2 - 1 && half <= limit / 2);
        settlement.pull(0, half, ALICE);
        // What comes in lets as much out.
        vm.stopPrank();
        vm.prank(BOB);
        settlement.open(0, half, keys(), false);
        assertEq(settlement.available(0), half);
        // A day is enough for everything.
        for (uint256 i = 0; i < 24; ++i) {
            vm.warp(vm.getBlockTimestamp() + 1 hours);
            uint64 rest = settlement.owed(0, ALICE);
            uint64 now_ = settlement.available(0);
            if (rest == 0) break;
            vm.prank(ALICE);
            settlement.pull(0, rest < now_ ? rest : now_, ALICE);
        }
        assertEq(settlement.owed(0, ALICE), 0);
    }

    function test_C1_no_more_than_the_cap_comes_in() public {
        openWith(ALICE, CAP - 5);
        vm.prank(BOB);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.CapExceeded.selector, 0, CAP, CAP + 1)
        );
        settlement.open(0, 6, keys(), false);
        openWith(BOB, 5);
        vm.prank(GOVERNOR);
        settlement.lowerCap(0, 0);
        vm.prank(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.CapExceeded.selector, 0, 0, CAP + 1)
        );
        settlement.deposit(1024, 0, 1);
        // What is there still leaves.
        settle(paying(NEXT, 2, ALICE, 5));
        vm.prank(ALICE);
        settlement.pull(0, 5, ALICE);
    }

    function test_C1_unlisted_tokens_do_not_come_in() public {
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.UnknownAsset.selector, 4));
        settlement.open(4, 6, keys(), false);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.UnknownAsset.selector, 4e9));
        settlement.open(4e9, 6, keys(), false);
    }
}
