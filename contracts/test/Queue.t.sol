// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlement} from "../src/ISettlement.sol";
import {MockToken} from "./mocks/Tokens.sol";
import {Scene} from "./Scene.sol";

/// @dev What the queue admits, and what follows when it is not served.
contract QueueTest is Scene {
    bytes32 private constant NEXT = bytes32(uint256(9));
    uint32 private constant SUB = 1 << 27;

    function refused(address sender, bytes memory call, bytes memory why) private {
        uint64 tail = settlement.queueTail();
        uint32 next = settlement.nextAccount();
        uint256 held = quote.balanceOf(address(settlement));
        vm.prank(sender);
        (bool done, bytes memory got) = address(settlement).call(call);
        assertTrue(!done);
        assertEq(keccak256(got), keccak256(why));
        assertEq(settlement.queueTail(), tail);
        assertEq(settlement.nextAccount(), next);
        assertEq(quote.balanceOf(address(settlement)), held);
    }

    function change(uint64 id, uint64 kind) private pure returns (uint64[15] memory c) {
        (c[0], c[1], c[2]) = (id, kind, kind == 2 ? id & 1023 : 0);
        (c[3], c[4], c[5]) = (64e6, 1e6, 1e7);
        (c[6], c[7], c[8], c[9], c[10]) = (100_000, 100_000, 50_000, 50_000, 10_000);
        (c[11], c[12], c[13], c[14]) = (5_000, 20_000, 100, 1e6);
    }

    function test_S3_accounts_are_numbered_from_1024() public {
        assertEq(openWith(ALICE, 5), 1024);
        assertEq(openWith(BOB, 5), 1025);
        assertEq(settlement.ownerOf(1025), BOB);
        assertEq(settlement.queueTail(), 2);
    }

    function test_N3_amounts_that_the_circuit_cannot_hold_are_refused() public {
        uint32 a = openWith(ALICE, 5);
        uint64[3] memory wrong = [uint64(0), 1 << 56, type(uint64).max];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory why =
                abi.encodeWithSelector(ISettlement.AmountOutOfRange.selector, wrong[i]);
            refused(ALICE, abi.encodeCall(settlement.deposit, (a, 0, wrong[i])), why);
            refused(ALICE, abi.encodeCall(settlement.open, (0, wrong[i], keys(), true)), why);
            refused(ALICE, abi.encodeCall(settlement.requestWithdraw, (a, 0, wrong[i])), why);
        }
        vm.prank(ALICE);
        settlement.requestWithdraw(a, 0, (1 << 56) - 1);
    }

    function test_S6_system_and_unknown_accounts_are_refused() public {
        openWith(ALICE, 5);
        uint32[4] memory wrong = [uint32(0), 1023, 1025, 1 << 28];
        bytes4[4] memory why = [
            ISettlement.SystemAccount.selector,
            ISettlement.SystemAccount.selector,
            ISettlement.UnknownAccount.selector,
            ISettlement.OutsideTree.selector
        ];
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory error_ = abi.encodeWithSelector(why[i], wrong[i]);
            refused(ALICE, abi.encodeCall(settlement.deposit, (wrong[i], 0, 5)), error_);
            refused(ALICE, abi.encodeCall(settlement.requestWithdraw, (wrong[i], 0, 5)), error_);
            refused(ALICE, abi.encodeCall(settlement.requestKeyChange, (wrong[i], keys())), error_);
            refused(ALICE, abi.encodeCall(settlement.requestCancelAll, (wrong[i])), error_);
            refused(ALICE, abi.encodeCall(settlement.requestFlag, (wrong[i])), error_);
            refused(ALICE, abi.encodeCall(settlement.requestAbsorb, (wrong[i])), error_);
            refused(
                ALICE,
                abi.encodeCall(settlement.requestTake, (1024, wrong[i], 1, true, 5, 5)),
                error_
            );
        }
    }

    function test_only_its_owner_asks_for_a_main_account() public {
        uint32 a = openWith(ALICE, 5);
        bytes memory why = abi.encodeWithSelector(ISettlement.NotOwner.selector, a, ALICE);
        refused(BOB, abi.encodeCall(settlement.requestWithdraw, (a, 0, 5)), why);
        refused(BOB, abi.encodeCall(settlement.requestKeyChange, (a, keys())), why);
        refused(BOB, abi.encodeCall(settlement.requestCancelAll, (a)), why);
        refused(BOB, abi.encodeCall(settlement.requestTake, (SUB, a, 1, true, 5, 5)), why);
        // Whose a sub-account is, the ledger decides.
        vm.prank(BOB);
        settlement.requestWithdraw(SUB, 0, 5);
    }

    function test_J4_takes_are_within_the_circuits_widths() public {
        uint32 a = openWith(ALICE, 5);
        uint32 b = openWith(BOB, 5);
        bytes memory call = abi.encodeCall(settlement.requestTake, (a, a, 1, true, 5, 5));
        refused(ALICE, call, abi.encodeWithSelector(ISettlement.SelfTrade.selector, a));
        call = abi.encodeCall(settlement.requestTake, (a, b, 2048, true, 5, 5));
        refused(BOB, call, abi.encodeWithSelector(ISettlement.NoInstrument.selector, 2048));
        call = abi.encodeCall(settlement.requestTake, (a, b, 1, true, 1 << 48, 5));
        refused(BOB, call, abi.encodeWithSelector(ISettlement.AmountOutOfRange.selector, 1 << 48));
        call = abi.encodeCall(settlement.requestTake, (a, b, 1, true, 5, 1 << 56));
        refused(BOB, call, abi.encodeWithSelector(ISettlement.LimitOutOfRange.selector, 1 << 56));
        vm.prank(BOB);
        settlement.requestTake(a, b, 1, true, (1 << 48) - 1, (1 << 56) - 1);
    }

    function test_S2_keys_are_canonical_elements() public {
        uint32 a = openWith(ALICE, 5);
        uint64[10] memory k;
        bytes memory none = abi.encodeWithSelector(ISettlement.NoKey.selector);
        k[7] = 1;
        refused(ALICE, abi.encodeCall(settlement.open, (0, 5, k, false)), none);
        refused(ALICE, abi.encodeCall(settlement.requestKeyChange, (a, k)), none);
        for (uint256 i = 0; i < 10; ++i) {
            k = keys();
            k[i] = 0xffffffff00000001;
            bytes memory why = abi.encodeWithSelector(ISettlement.KeyNotCanonical.selector, i);
            refused(ALICE, abi.encodeCall(settlement.open, (0, 5, k, false)), why);
            refused(ALICE, abi.encodeCall(settlement.requestKeyChange, (a, k)), why);
        }
    }

    function test_J4_pending_items_of_an_account_are_capped() public {
        uint32 a = openWith(ALICE, 5);
        for (uint256 i = 0; i < 3; ++i) {
            askWithdraw(ALICE, a, 5);
        }
        bytes memory why = abi.encodeWithSelector(ISettlement.TooManyPending.selector, a);
        refused(ALICE, abi.encodeCall(settlement.requestCancelAll, (a)), why);
        refused(ALICE, abi.encodeCall(settlement.deposit, (a, 0, 5)), why);
        // Others have a count of their own, so that they cannot crowd the owner out.
        vm.startPrank(BOB);
        settlement.requestFlag(a);
        settlement.requestAbsorb(a);
        settlement.requestFlag(a);
        settlement.deposit(a, 0, 5);
        vm.stopPrank();
        refused(BOB, abi.encodeCall(settlement.requestFlag, (a)), why);
        refused(BOB, abi.encodeCall(settlement.deposit, (a, 0, 5)), why);
        Plan memory p = plan(NEXT);
        p.queue = 1;
        settle(p);
        vm.prank(ALICE);
        settlement.requestCancelAll(a);
        refused(ALICE, abi.encodeCall(settlement.requestCancelAll, (a)), why);
    }

    function test_C3_deadlines_keep_their_distance() public {
        uint32 a = openWith(ALICE, 5);
        askWithdraw(ALICE, a, 5);
        (, uint40 first) = settlement.items(0);
        (, uint40 second) = settlement.items(1);
        assertEq(first, START + 1 days);
        assertEq(second, START + 1 days + 10);
    }

    function test_C3_anyone_freezes_after_a_missed_deadline() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingQueued.selector));
        settlement.freeze();
        uint32 a = openWith(ALICE, 500e6);
        settle(paying(NEXT, 1, ALICE, 400e6));
        askWithdraw(ALICE, a, 100e6);
        uint256 deadline = START + 1 days + 10;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotOverdue.selector, 1, deadline));
        settlement.freeze();
        vm.warp(deadline + 1);
        ISettlement.Batch memory batch = commit(bytesOf(plan(NEXT)));
        vm.prank(BOB);
        settlement.freeze();
        frozenRefusesAll(a, batch);
        // What is credited is pulled, beyond the hourly limit.
        vm.prank(ALICE);
        settlement.pull(0, 400e6, ALICE);
    }

    function frozenRefusesAll(uint32 a, ISettlement.Batch memory batch) private {
        bytes memory why = abi.encodeWithSelector(ISettlement.Frozen.selector);
        refused(ALICE, abi.encodeCall(settlement.open, (0, 5, keys(), false)), why);
        refused(ALICE, abi.encodeCall(settlement.deposit, (a, 0, 5)), why);
        refused(ALICE, abi.encodeCall(settlement.requestWithdraw, (a, 0, 5)), why);
        refused(ALICE, abi.encodeCall(settlement.requestKeyChange, (a, keys())), why);
        refused(ALICE, abi.encodeCall(settlement.requestCancelAll, (a)), why);
        refused(ALICE, abi.encodeCall(settlement.requestFlag, (a)), why);
        refused(ALICE, abi.encodeCall(settlement.requestTake, (a, SUB, 1, true, 5, 5)), why);
        refused(ALICE, abi.encodeCall(settlement.requestAbsorb, (a)), why);
        refused(ALICE, abi.encodeCall(settlement.freeze, ()), why);
        bytes memory data = bytesOf(plan(NEXT));
        refused(OPERATOR, abi.encodeCall(settlement.commit, (last, content(), data)), why);
        refused(OPERATOR, abi.encodeCall(settlement.revertBatches, ()), why);
        refused(ALICE, abi.encodeCall(settlement.prove, (batch, proofOf(batch))), why);
        refused(ALICE, abi.encodeCall(settlement.execute, (batch, "")), why);
    }

    /// @dev An operator who commits and never proves does not serve.
    function test_C3_committed_is_not_served() public {
        openWith(ALICE, 5);
        Plan memory p = plan(NEXT);
        p.queue = 1;
        ISettlement.Batch memory batch = commit(bytesOf(p));
        settlement.prove(batch, proofOf(batch));
        vm.warp(START + 1 days + 1);
        settlement.freeze();
        assertTrue(settlement.frozen());
        assertEq(settlement.root(), GENESIS);
    }

    function test_T7_changes_come_through_the_timelock_and_in_bounds() public {
        uint64[15] memory c = change(1024 + 3, 1);
        bytes memory call = abi.encodeCall(settlement.requestChange, (c));
        refused(
            GOVERNOR, call, abi.encodeWithSelector(ISettlement.NotScheduled.selector, GOVERNOR)
        );
        govern(call);
        assertEq(settlement.queueTail(), 1);
        uint64[2][18] memory wrong = [
            [uint64(0), 1024], [uint64(0), 1 << 32], [uint64(1), 0], [uint64(1), 3],
            [uint64(2), 3], [uint64(3), 64e6 - 1], [uint64(3), 1 << 42], [uint64(4), 0],
            [uint64(4), 1 << 30], [uint64(5), 0], [uint64(5), 1 << 35], [uint64(6), 1e6 + 1],
            [uint64(13), 1e6 + 1], [uint64(10), 50_000], [uint64(11), 50_000],
            [uint64(14), 1e6 - 1], [uint64(14), 1e6 + 1], [uint64(14), 1e8 + 1]
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            c = change(1024 + 3, 1);
            c[wrong[i][0]] = wrong[i][1];
            bytes memory why = abi.encodeWithSelector(
                ISettlement.ChangeOutOfRange.selector, wrong[i][0], wrong[i][1]
            );
            refusedRun(abi.encodeCall(settlement.requestChange, (c)), why);
        }
    }

    function refusedRun(bytes memory call, bytes memory why) private {
        vm.prank(GOVERNOR);
        settlement.schedule(call);
        vm.warp(vm.getBlockTimestamp() + 2 days);
        refused(GOVERNOR, abi.encodeCall(settlement.run, (call)), why);
    }

    function test_T8_a_listing_names_an_assets_instrument_and_bounds_its_cap() public {
        MockToken token = new MockToken(18);
        uint64[15] memory c = change(1024 + 7, 2);
        bytes memory listing = abi.encodeCall(settlement.requestChange, (c));
        refusedRun(listing, abi.encodeWithSelector(ISettlement.UnknownAsset.selector, 7));
        govern(abi.encodeCall(settlement.listAsset, (7, address(token), 1e15, 9e6, 1e6)));
        uint32 a = openWith(ALICE, 5);
        refused(
            ALICE,
            abi.encodeCall(settlement.deposit, (a, 7, 5)),
            abi.encodeWithSelector(ISettlement.NoInstrument.selector, 0)
        );
        vm.prank(GOVERNOR);
        settlement.run(listing);
        assertEq(settlement.assetOf(7).instrument, 1024 + 7);
        token.mint(ALICE, 1e20);
        vm.startPrank(ALICE);
        token.approve(address(settlement), type(uint256).max);
        settlement.deposit(a, 7, 5);
        vm.stopPrank();
        assertEq(token.balanceOf(address(settlement)), 5e15);
        // Lots of another's account are not for others to add to.
        refused(
            BOB,
            abi.encodeCall(settlement.deposit, (a, 7, 5)),
            abi.encodeWithSelector(ISettlement.NotOwner.selector, a, ALICE)
        );
        refusedRun(
            abi.encodeCall(settlement.raiseCap, (7, 1e7 + 1)),
            abi.encodeWithSelector(ISettlement.CapOutOfRange.selector, 1e7 + 1, 1e7)
        );
        c[0] += 1024;
        c[5] = 9e6 - 1;
        refusedRun(
            abi.encodeCall(settlement.requestChange, (c)),
            abi.encodeWithSelector(ISettlement.CapOutOfRange.selector, 9e6, 9e6 - 1)
        );
    }
}
