// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlement} from "../src/ISettlement.sol";
import {IVerifier} from "../src/IVerifier.sol";
import {Settlement} from "../src/Settlement.sol";
import {Base} from "./Base.sol";
import {MockVerifier} from "./mocks/MockVerifier.sol";
import {MockToken} from "./mocks/Tokens.sol";

/// @dev A settlement with a quote token, users and the means to write batches.
abstract contract Scene is Base {
    address internal constant GOVERNOR = address(0x6061);
    address internal constant OPERATOR = address(0x0909);
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);
    bytes32 internal constant KEY = keccak256("key");
    bytes32 internal constant GENESIS = bytes32(uint256(0x11) << 192 | 0x44);
    uint64 internal constant START = 1_760_000_000;
    uint64 internal constant CAP = 1_000_000e6;

    /// @dev A withdrawal's record.
    struct Payment {
        address owner;
        uint64 asset;
        uint64 lots;
    }

    /// @dev What a batch says; `queue` items are served from the last batch's end.
    struct Plan {
        bytes32 root;
        uint64 queue;
        uint64 outcome;
        Payment[] payments;
        uint64 small;
        uint64 large;
        uint64 rows;
    }

    Settlement internal settlement;
    MockVerifier internal verifier;
    MockToken internal quote;
    ISettlement.Batch internal last;
    /// @dev The words that each item was queued with, as events would tell an operator.
    uint64[20][] internal queued;

    function setUp() public virtual {
        vm.warp(START);
        verifier = new MockVerifier(KEY, false);
        quote = new MockToken(6);
        settlement = new Settlement(genesis());
        (last.root, last.time) = (GENESIS, START);
        for (uint160 i = 0; i < 2; ++i) {
            address user = i == 0 ? ALICE : BOB;
            quote.mint(user, 1e15);
            vm.prank(user);
            quote.approve(address(settlement), type(uint256).max);
        }
    }

    function genesis() internal view returns (ISettlement.Genesis memory) {
        return ISettlement.Genesis({
            governor: GOVERNOR,
            operator: OPERATOR,
            verifier: IVerifier(address(verifier)),
            keyDigest: KEY,
            root: GENESIS,
            time: START,
            token: address(quote),
            scale: 1,
            cap: CAP,
            outflow: CAP / 24 + 1
        });
    }

    function keys() internal pure returns (uint64[10] memory k) {
        (k[0], k[4], k[5]) = (7, 0xffffffff00000000, 9);
    }

    function openWith(address user, uint64 lots) internal returns (uint32 account) {
        vm.prank(user);
        account = settlement.open(0, lots, keys(), false);
        uint64[20] memory words = about(1, account);
        (words[7], words[9]) = (lots, 2);
        uint64[10] memory k = keys();
        for (uint256 i = 0; i < 10; ++i) {
            words[10 + i] = k[i];
        }
        remember(words, user);
    }

    function askWithdraw(address user, uint32 account, uint64 lots) internal {
        vm.prank(user);
        settlement.requestWithdraw(account, 0, lots);
        uint64[20] memory words = about(2, account);
        words[7] = lots;
        remember(words, user);
    }

    function about(uint64 kind, uint32 account) internal pure returns (uint64[20] memory words) {
        (words[0], words[1]) = (kind, account);
    }

    function remember(uint64[20] memory words, address sender) internal {
        uint256 s = uint160(sender);
        words[3] = uint64(s >> 104);
        words[4] = uint64((s >> 48) & 0xffffffffffffff);
        words[5] = uint64(s & 0xffffffffffff);
        queued.push(words);
    }

    function plan(bytes32 root) internal pure returns (Plan memory p) {
        p.root = root;
    }

    function paying(bytes32 root, uint64 queue, address to, uint64 lots)
        internal
        pure
        returns (Plan memory p)
    {
        (p.root, p.queue) = (root, queue);
        p.payments = new Payment[](1);
        p.payments[0] = Payment(to, 0, lots);
    }

    /// @dev The bytes of a batch after the last one.
    function bytesOf(Plan memory p) internal view returns (bytes memory) {
        return pack(wordsOf(p));
    }

    function wordsOf(Plan memory p) internal view returns (uint64[] memory d) {
        uint256 size = 38 + 5 + p.queue * 32 + p.payments.length * 5 + p.small * 28 + p.large * 64
            + p.rows * 27;
        d = new uint64[](size);
        uint160 to = uint160(address(settlement));
        (d[0], d[1], d[2]) = (3, uint64(size), uint64(block.chainid));
        d[3] = uint64(to >> 104);
        d[4] = uint64((to >> 48) & 0xffffffffffffff);
        d[5] = uint64(to & 0xffffffffffff);
        (d[6], d[7]) = (last.lastEpoch + 1, last.lastEpoch + 2);
        (d[8], d[9]) = (last.round + 1, uint64(vm.getBlockTimestamp()));
        d[10] = p.queue;
        d[11] = uint64(p.payments.length);
        (d[12], d[13]) = (p.small + p.large, p.rows);
        _halves(d, 14, last.root);
        _halves(d, 22, p.root);
        _halves(d, 30, keccak256("header") >> 200);
        (d[38], d[39], d[40], d[41], d[42]) = (d[10], d[11], p.small, p.large, p.rows);
        uint256 place = 43;
        for (uint256 i = 0; i < p.queue; ++i) {
            place = _item(d, place, last.queueEnd + i, p.outcome);
        }
        for (uint256 i = 0; i < p.payments.length; ++i) {
            uint160 owner = uint160(p.payments[i].owner);
            d[place] = uint64(owner >> 104);
            d[place + 1] = uint64((owner >> 48) & 0xffffffffffffff);
            d[place + 2] = uint64(owner & 0xffffffffffff);
            (d[place + 3], d[place + 4]) = (p.payments[i].asset, p.payments[i].lots);
            place += 5;
        }
    }

    function _item(uint64[] memory d, uint256 place, uint256 index, uint64 outcome)
        private
        view
        returns (uint256)
    {
        uint64[20] memory words = queued[index];
        d[place++] = uint64(index);
        for (uint256 i = 0; i < 20; ++i) {
            if (i < 10) {
                d[place++] = words[i];
            } else {
                d[place++] = words[i] & 0xffffffff;
                d[place++] = words[i] >> 32;
            }
        }
        d[place++] = outcome;
        return place;
    }

    function _halves(uint64[] memory d, uint256 place, bytes32 root) private pure {
        for (uint256 i = 0; i < 4; ++i) {
            uint64 element = uint64(uint256(root) >> (192 - 64 * i));
            (d[place + 2 * i], d[place + 2 * i + 1]) = (element & 0xffffffff, element >> 32);
        }
    }

    /// @dev 7 bytes a word.
    function pack(uint64[] memory d) internal pure returns (bytes memory out) {
        uint256 words = d.length;
        out = new bytes(words * 7 + 32);
        for (uint256 i = 0; i < words; ++i) {
            uint256 word = d[i];
            assembly ("memory-safe") {
                mstore(add(add(out, 32), mul(7, i)), shl(200, word))
            }
        }
        assembly ("memory-safe") {
            mstore(out, mul(7, words))
        }
    }

    function content() internal pure returns (uint64[4] memory) {
        return [uint64(1), 2, 3, 0xffffffff00000000];
    }

    function commit(bytes memory data) internal returns (ISettlement.Batch memory batch) {
        vm.prank(OPERATOR);
        batch = settlement.commit(last, content(), data);
    }

    /// @dev Its proof, known to the verifier.
    function proofOf(ISettlement.Batch memory batch) internal returns (bytes memory proof) {
        proof = abi.encodePacked("proof", batch.number, batch.root);
        verifier.register(proof, batch.instances);
    }

    function paymentsOf(Plan memory p) internal pure returns (bytes memory out) {
        for (uint256 i = 0; i < p.payments.length; ++i) {
            uint160 owner = uint160(p.payments[i].owner);
            uint64[] memory d = new uint64[](5);
            d[0] = uint64(owner >> 104);
            d[1] = uint64((owner >> 48) & 0xffffffffffffff);
            d[2] = uint64(owner & 0xffffffffffff);
            (d[3], d[4]) = (p.payments[i].asset, p.payments[i].lots);
            out = abi.encodePacked(out, pack(d));
        }
    }

    function settle(Plan memory p) internal returns (ISettlement.Batch memory batch) {
        batch = commit(bytesOf(p));
        bytes memory proof = proofOf(batch);
        settlement.prove(batch, proof);
        settlement.execute(batch, paymentsOf(p));
        last = batch;
    }

    /// @dev Announces a call, waits and runs it.
    function govern(bytes memory call) internal {
        vm.prank(GOVERNOR);
        settlement.schedule(call);
        vm.warp(vm.getBlockTimestamp() + settlement.delayOf(bytes4(call)));
        vm.prank(GOVERNOR);
        settlement.run(call);
    }
}
