// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BatchData} from "../src/BatchData.sol";
import {Goldilocks} from "../src/Goldilocks.sol";
import {ISettlement} from "../src/ISettlement.sol";
import {Scene} from "./Scene.sol";

/// @dev Commit, prove and execute: what is refused leaves everything as it was.
contract BatchesTest is Scene {
    bytes32 private constant NEXT = bytes32(uint256(5) << 128 | 6);

    /// @dev What a refused call may not change.
    function snapshot() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                settlement.root(),
                settlement.committed(),
                settlement.proven(),
                settlement.executed(),
                settlement.queueHead(),
                settlement.queueTail(),
                settlement.batches(settlement.committed()),
                settlement.assetOf(0),
                settlement.owed(0, ALICE),
                settlement.owed(0, BOB)
            )
        );
    }

    function refused(bytes memory data, bytes memory why) private {
        bytes32 before = snapshot();
        vm.prank(OPERATOR);
        vm.expectRevert(why);
        settlement.commit(last, content(), data);
        assertEq(snapshot(), before);
    }

    function refusedWords(uint64[] memory d, bytes memory why) private {
        refused(pack(d), why);
    }

    function test_C2_a_deposit_goes_in_and_a_withdrawal_is_paid() public {
        uint32 account = openWith(ALICE, 500e6);
        askWithdraw(ALICE, account, 200e6);
        settle(paying(NEXT, 2, ALICE, 200e6));
        assertEq(settlement.root(), NEXT);
        assertEq(settlement.queueHead(), 2);
        assertEq(settlement.owed(0, ALICE), 200e6);
        uint256 before = quote.balanceOf(BOB);
        vm.startPrank(ALICE);
        settlement.pull(0, 30e6, BOB);
        settlement.pull(0, 170e6, ALICE);
        vm.stopPrank();
        assertEq(quote.balanceOf(BOB) - before, 30e6);
        assertEq(quote.balanceOf(address(settlement)), 300e6);
        assertEq(settlement.assetOf(0).held, 300e6);
    }

    function test_J4_a_refused_deposit_is_paid_back() public {
        openWith(ALICE, 500e6);
        Plan memory p = paying(NEXT, 1, ALICE, 500e6);
        p.outcome = 65;
        settle(p);
        assertEq(settlement.owed(0, ALICE), 500e6);
        assertEq(settlement.assetOf(0).held, 0);
    }

    function test_P6_batches_of_all_sections_follow_one_another() public {
        openWith(ALICE, 500e6);
        Plan memory p = paying(NEXT, 1, BOB, 1);
        (p.small, p.large, p.rows) = (3, 2, 1);
        settle(p);
        settle(plan(bytes32(uint256(77))));
        assertEq(settlement.executed(), 2);
    }

    function test_P6_a_flipped_bit_or_another_batchs_proof_is_refused() public {
        ISettlement.Batch memory first = commit(bytesOf(plan(NEXT)));
        bytes memory proof = proofOf(first);
        settlement.prove(first, proof);
        last = first;
        ISettlement.Batch memory batch = commit(bytesOf(plan(GENESIS)));
        bytes memory good = proofOf(batch);
        bytes32 before = snapshot();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ProofRefused.selector, 2));
        settlement.prove(batch, proof);
        for (uint256 i = 0; i < good.length; i += 7) {
            bytes memory flipped = abi.encodePacked(good);
            flipped[i] ^= 0x10;
            vm.expectRevert(abi.encodeWithSelector(ISettlement.ProofRefused.selector, 2));
            settlement.prove(batch, flipped);
        }
        assertEq(snapshot(), before);
        settlement.prove(batch, good);
    }

    /// @dev An instance is what commit made of it, not what the prover says.
    function test_P6_an_instance_plus_r_is_another_batch() public {
        uint256 r = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
        ISettlement.Batch memory batch = commit(bytesOf(plan(NEXT)));
        bytes memory proof = proofOf(batch);
        bytes32 before = snapshot();
        for (uint256 i = 0; i < 3; ++i) {
            assertTrue(batch.instances[i] < 1 << 192);
            batch.instances[i] += r;
            verifier.register(proof, batch.instances);
            bytes32 hash = settlement.hashOf(batch);
            vm.expectRevert(abi.encodeWithSelector(ISettlement.UnknownBatch.selector, 1, hash));
            settlement.prove(batch, proof);
            batch.instances[i] -= r;
        }
        assertEq(snapshot(), before);
    }

    function test_P6_a_word_of_C_at_or_above_p_is_refused() public {
        bytes memory data = bytesOf(plan(NEXT));
        for (uint256 i = 0; i < 4; ++i) {
            uint64[4] memory c = content();
            c[i] = uint64(Goldilocks.P + i);
            vm.prank(OPERATOR);
            vm.expectRevert(
                abi.encodeWithSelector(BatchData.ContentNotCanonical.selector, i)
            );
            settlement.commit(last, c, data);
        }
    }

    function test_P6_a_stale_root_is_refused() public {
        settle(plan(NEXT));
        bytes32 stale = bytes32(uint256(8));
        last.root = stale;
        bytes memory data = bytesOf(plan(NEXT));
        last.root = NEXT;
        refused(data, abi.encodeWithSelector(ISettlement.StaleRoot.selector, NEXT, stale));
    }

    function test_P6_altered_bytes_have_no_proof() public {
        openWith(ALICE, 1e6);
        Plan memory p = paying(NEXT, 1, BOB, 1);
        p.small = 1;
        uint64[] memory d = wordsOf(p);
        ISettlement.Batch memory batch = commit(pack(d));
        bytes memory proof = proofOf(batch);
        // A record's word, and the outcome of the item.
        uint256[2] memory places = [d.length - 1, uint256(43 + 31)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(OPERATOR);
            settlement.revertBatches();
            d[places[i]] += 1;
            ISettlement.Batch memory other = commit(pack(d));
            assertTrue(other.instances[1] != batch.instances[1]);
            vm.expectRevert(abi.encodeWithSelector(ISettlement.ProofRefused.selector, 1));
            settlement.prove(other, proof);
            d[places[i]] -= 1;
        }
    }

    function test_P6_longer_or_shorter_bytes_are_refused() public {
        openWith(ALICE, 1e6);
        Plan memory p = paying(NEXT, 1, BOB, 1);
        bytes memory data = bytesOf(p);
        uint256 words = data.length / 7;
        refused(
            abi.encodePacked(data, bytes1(0)),
            abi.encodeWithSelector(BatchData.DataLength.selector, data.length + 1)
        );
        refused(
            abi.encodePacked(data, bytes7(0)),
            abi.encodeWithSelector(BatchData.WordCount.selector, words, words + 1)
        );
        uint64[] memory d = wordsOf(p);
        assembly ("memory-safe") {
            mstore(d, sub(mload(d), 1))
        }
        refusedWords(d, abi.encodeWithSelector(BatchData.WordCount.selector, words, words - 1));
        // With the count made right, the records no longer end with the bytes.
        d[1] -= 1;
        refusedWords(
            d, abi.encodeWithSelector(BatchData.RecordsOverrun.selector, words, words - 1)
        );
        refused(new bytes(37 * 7), abi.encodeWithSelector(BatchData.DataLength.selector, 259));
        refused("", abi.encodeWithSelector(BatchData.DataLength.selector, 0));
    }

    function test_P6_a_residue_plus_p_or_a_wide_half_is_refused() public {
        uint64[] memory d = wordsOf(plan(NEXT));
        (d[22], d[23]) = (1, 0xffffffff);
        refusedWords(d, abi.encodeWithSelector(BatchData.AliasedHalves.selector, 22));
        (d[22], d[23]) = (1 << 32, 0);
        refusedWords(d, abi.encodeWithSelector(BatchData.HalfTooWide.selector, 22, 1 << 32));
        (d[22], d[23]) = (0, 1 << 32);
        refusedWords(d, abi.encodeWithSelector(BatchData.HalfTooWide.selector, 23, 1 << 32));
        // p − 1 is a residue.
        (d[22], d[23]) = (0, 0xffffffff);
        commit(pack(d));
    }

    function test_P6_another_domain_or_layout_is_refused() public {
        uint64[] memory d = wordsOf(plan(NEXT));
        d[0] = 1;
        refusedWords(d, abi.encodeWithSelector(BatchData.DataVersion.selector, 1));
        (d[0], d[2]) = (3, 5);
        refusedWords(d, abi.encodeWithSelector(BatchData.WrongChain.selector, 5));
        d[2] = uint64(block.chainid);
        d[5] ^= 1;
        address other = address(uint160(address(settlement)) ^ 1);
        refusedWords(d, abi.encodeWithSelector(BatchData.WrongContract.selector, other));
        // A seventh byte that would be shifted out of an address.
        d[5] = (d[5] ^ 1) | (1 << 48);
        other = address(uint160(address(settlement)) | (1 << 48));
        refusedWords(d, abi.encodeWithSelector(BatchData.WrongContract.selector, other));
    }

    function test_P6_sections_are_as_many_as_stated() public {
        openWith(ALICE, 1e6);
        Plan memory p = paying(NEXT, 1, BOB, 1);
        (p.small, p.rows) = (1, 1);
        uint64[] memory d = wordsOf(p);
        for (uint256 i = 0; i < 4; ++i) {
            d[10 + i] += 1;
            refusedWords(
                d, abi.encodeWithSelector(BatchData.SectionMismatch.selector, i, 2, 1)
            );
            d[10 + i] -= 1;
        }
        d[11] = 1 << 55;
        refusedWords(
            d, abi.encodeWithSelector(BatchData.SectionMismatch.selector, 1, 1 << 55, 0)
        );
        d[11] = 0;
        refusedWords(d, abi.encodeWithSelector(BatchData.SectionMismatch.selector, 1, 0, 1));
        d[11] = 1;
        // Counts that no bytes hold.
        d[38] = (1 << 56) - 1;
        uint256 end = 43 + 32 * uint256(d[38]) + 5 + 28 + 27;
        refusedWords(
            d, abi.encodeWithSelector(BatchData.RecordsOverrun.selector, end, d.length)
        );
        // A list without its counts.
        d[1] = 40;
        assembly ("memory-safe") {
            mstore(d, 40)
        }
        refusedWords(d, abi.encodeWithSelector(BatchData.RecordsOverrun.selector, 43, 40));
    }

    function test_C2_the_last_epoch_is_of_now() public {
        uint64[] memory d = wordsOf(plan(NEXT));
        vm.warp(START + 601);
        refusedWords(
            d, abi.encodeWithSelector(ISettlement.OutsideWindow.selector, START, START + 601)
        );
        vm.warp(START - 601);
        refusedWords(
            d, abi.encodeWithSelector(ISettlement.OutsideWindow.selector, START, START - 601)
        );
        vm.warp(START + 600);
        commit(pack(d));
    }

    function test_P5_epochs_follow_one_another() public {
        uint64[] memory d = wordsOf(plan(NEXT));
        d[6] = 2;
        refusedWords(d, abi.encodeWithSelector(ISettlement.WrongEpoch.selector, 1, 2));
        (d[6], d[7]) = (1, 0);
        refusedWords(d, abi.encodeWithSelector(ISettlement.WrongEpoch.selector, 1, 1));
    }

    function test_C1_reordered_skipped_or_other_items_are_refused() public {
        openWith(ALICE, 1e6);
        openWith(BOB, 2e6);
        openWith(ALICE, 3e6);
        Plan memory p = plan(NEXT);
        p.queue = 2;
        uint64[] memory d = wordsOf(p);
        // Another word of an item: amount, sender, key.
        uint256[3] memory words = [uint256(44 + 7), 44 + 5, 44 + 10];
        for (uint256 i = 0; i < 3; ++i) {
            d[words[i]] ^= 1;
            refusedWords(d, abi.encodeWithSelector(ISettlement.QueueMismatch.selector, 2));
            d[words[i]] ^= 1;
        }
        // Skipped, and reordered.
        d[43] = 1;
        refusedWords(d, abi.encodeWithSelector(BatchData.QueueOrder.selector, 0, 1));
        d[43] = 0;
        d[75] = 2;
        refusedWords(d, abi.encodeWithSelector(BatchData.QueueOrder.selector, 1, 2));
        d[75] = 1;
        for (uint256 i = 44; i < 74; ++i) {
            (d[i], d[i + 32]) = (d[i + 32], d[i]);
        }
        refusedWords(d, abi.encodeWithSelector(ISettlement.QueueMismatch.selector, 2));
        // An item that nobody queued.
        p.queue = 3;
        queued.push(queued[2]);
        p.queue = 4;
        refused(bytesOf(p), abi.encodeWithSelector(ISettlement.QueueMismatch.selector, 4));
        p.queue = 3;
        settle(p);
        // Served once.
        last.queueEnd = 2;
        bytes memory again = bytesOf(Plan(GENESIS, 1, 0, new Payment[](0), 0, 0, 0));
        last.queueEnd = 3;
        refused(again, abi.encodeWithSelector(BatchData.QueueOrder.selector, 3, 2));
    }

    function test_C2_a_withdrawal_is_not_executed_twice_nor_changed() public {
        openWith(ALICE, 500e6);
        Plan memory p = paying(NEXT, 1, ALICE, 100e6);
        ISettlement.Batch memory batch = settle(p);
        bytes32 before = snapshot();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.OutOfOrder.selector, 2, 1));
        settlement.execute(batch, paymentsOf(p));
        assertEq(snapshot(), before);
        p = paying(GENESIS, 0, ALICE, 100e6);
        batch = commit(bytesOf(p));
        settlement.prove(batch, proofOf(batch));
        p.payments[0].lots += 1;
        bytes memory more = paymentsOf(p);
        before = snapshot();
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.WithdrawalsMismatch.selector, batch.withdrawals, keccak256(more)
            )
        );
        settlement.execute(batch, more);
        assertEq(snapshot(), before);
    }

    function test_C2_prove_and_execute_keep_the_order() public {
        ISettlement.Batch memory first = commit(bytesOf(plan(NEXT)));
        ISettlement.Batch memory before = last;
        last = first;
        ISettlement.Batch memory second = commit(bytesOf(plan(GENESIS)));
        bytes memory one = proofOf(first);
        bytes memory two = proofOf(second);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.OutOfOrder.selector, 1, 2));
        settlement.prove(second, two);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotProven.selector, 1));
        settlement.execute(first, "");
        settlement.prove(first, one);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.OutOfOrder.selector, 2, 1));
        settlement.prove(first, one);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.OutOfOrder.selector, 1, 2));
        settlement.execute(second, "");
        settlement.execute(first, "");
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotProven.selector, 2));
        settlement.execute(second, "");
        last = before;
        refused(bytesOf(plan(NEXT)), abi.encodeWithSelector(ISettlement.OutOfOrder.selector, 2, 0));
    }

    function test_a_forged_batch_is_unknown() public {
        ISettlement.Batch memory batch = commit(bytesOf(plan(NEXT)));
        bytes memory proof = proofOf(batch);
        settlement.prove(batch, proof);
        batch.root = GENESIS;
        bytes32 hash = settlement.hashOf(batch);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.UnknownBatch.selector, 1, hash));
        settlement.execute(batch, "");
    }

    function test_what_was_not_proven_is_taken_back() public {
        vm.prank(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingToRevert.selector));
        settlement.revertBatches();
        ISettlement.Batch memory batch = commit(bytesOf(plan(NEXT)));
        bytes memory proof = proofOf(batch);
        vm.prank(OPERATOR);
        settlement.revertBatches();
        bytes32 hash = settlement.hashOf(batch);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.UnknownBatch.selector, 1, hash));
        settlement.prove(batch, proof);
        settle(plan(bytes32(uint256(3))));
        assertEq(settlement.root(), bytes32(uint256(3)));
    }

    /// @dev The proof keeps withdrawals within the vault; the contract does too.
    function test_C2_no_more_is_credited_than_is_held() public {
        openWith(ALICE, 5);
        Plan memory p = paying(NEXT, 1, ALICE, 6);
        ISettlement.Batch memory batch = commit(bytesOf(p));
        settlement.prove(batch, proofOf(batch));
        bytes memory payments = paymentsOf(p);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.VaultExceeded.selector, 0, 5, 6));
        settlement.execute(batch, payments);
    }

    function test_an_unknown_asset_is_not_paid() public {
        Plan memory p = paying(NEXT, 0, ALICE, 6);
        p.payments[0].asset = 3;
        ISettlement.Batch memory batch = commit(bytesOf(p));
        settlement.prove(batch, proofOf(batch));
        bytes memory payments = paymentsOf(p);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.UnknownAsset.selector, 3));
        settlement.execute(batch, payments);
        vm.prank(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingToRevert.selector));
        settlement.revertBatches();
    }

    function test_a_malformed_owner_is_not_paid() public {
        Plan memory p = paying(NEXT, 0, ALICE, 6);
        uint64[] memory d = wordsOf(p);
        d[d.length - 3] |= 1 << 48;
        ISettlement.Batch memory batch = commit(pack(d));
        settlement.prove(batch, proofOf(batch));
        bytes memory payments = paymentsOf(p);
        payments[14] = 0x01;
        uint256 low = (uint256(uint160(ALICE)) & 0xffffffffffff) | (1 << 48);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.MalformedOwner.selector, low));
        settlement.execute(batch, payments);
    }

    function testFuzz_P6_y_is_the_sum_of_powers(uint256 seed, uint256 z0, uint256 z1) public pure {
        (z0, z1) = (z0 % Goldilocks.P, z1 % Goldilocks.P);
        uint256 words = 1 + seed % 40;
        uint64[] memory d = new uint64[](words);
        (uint256 a, uint256 b) = (uint256(1), uint256(0));
        (uint256 y0, uint256 y1) = (uint256(0), uint256(0));
        for (uint256 i = 0; i < words; ++i) {
            d[i] = uint56(uint256(keccak256(abi.encode(seed, i))));
            if (i % 3 == 2) d[i] = (1 << 56) - 1;
            y0 = addmod(y0, mulmod(d[i], a, Goldilocks.P), Goldilocks.P);
            y1 = addmod(y1, mulmod(d[i], b, Goldilocks.P), Goldilocks.P);
            (a, b) = ((a * z0 + 7 * b * z1) % Goldilocks.P, (a * z1 + b * z0) % Goldilocks.P);
        }
        bytes memory data = abi.encodePacked(pack(d), new bytes(96));
        uint256 start;
        assembly ("memory-safe") {
            start := add(data, 32)
        }
        (uint256 u, uint256 v) = Goldilocks.evaluate(start, words, z0, z1);
        assertEq(u, y0);
        assertEq(v, y1);
    }
}
