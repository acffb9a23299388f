// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISettlement} from "../src/ISettlement.sol";
import {Base} from "./Base.sol";
import {Scene} from "./Scene.sol";

/// @dev Users, an operator and liars, in any order. What must fail is tried and must fail.
contract Handler is Scene {
    /// @dev The root that each batch was proven with; number 0 is the genesis.
    mapping(uint64 => bytes32) public provenRoot;
    uint64 public served;
    uint64 public highestHead;
    bool public lieAccepted;
    uint256 public calls;

    /// @dev Committed batches in their order, and what they pay.
    ISettlement.Batch[] private _batches;
    bytes[] private _payments;
    uint64[] private _served;
    uint256 private _time = START;

    function setUp() public override {
        super.setUp();
        provenRoot[0] = GENESIS;
        _batches.push(last);
        _payments.push("");
        _served.push(0);
    }

    modifier counted() {
        calls += 1;
        _;
        if (settlement.queueHead() < highestHead) lieAccepted = true;
        highestHead = settlement.queueHead();
    }

    function open(uint256 who, uint64 lots) external counted {
        if (settlement.frozen() || settlement.queueTail() > 60) return;
        uint64 room = _room();
        if (room == 0) return;
        openWith(_user(who), uint64(bound(lots, 1, room < 1e9 ? room : 1e9)));
    }

    function withdraw(uint256 who, uint64 lots) external counted {
        if (settlement.frozen() || settlement.queueTail() > 90) return;
        uint32 next = settlement.nextAccount();
        if (next == 1024) return;
        uint32 account = uint32(bound(who, 1024, next - 1));
        lots = uint64(bound(lots, 1, 1e9));
        address owner = settlement.ownerOf(account);
        vm.prank(owner);
        try settlement.requestWithdraw(account, 0, lots) {
            uint64[20] memory words = about(2, account);
            words[7] = lots;
            remember(words, owner);
        } catch {}
    }

    function batch(uint256 queue, uint256 pay, uint256 root) external counted {
        if (settlement.frozen()) return;
        last = _batches[_batches.length - 1];
        uint64 waiting = settlement.queueTail() - last.queueEnd;
        if (waiting > 3) waiting = 3;
        Plan memory p = paying(_root(root), uint64(bound(queue, 0, waiting)), _user(pay), 0);
        p.payments[0].lots = uint64(bound(pay >> 8, 0, _free()));
        ISettlement.Batch memory made = commit(bytesOf(p));
        _batches.push(made);
        _payments.push(paymentsOf(p));
        _served.push(p.queue);
    }

    /// @dev A batch whose bytes differ from what is proven in one word.
    function lie(uint256 word, uint256 how, uint256 root) external counted {
        if (settlement.frozen()) return;
        last = _batches[_batches.length - 1];
        Plan memory p = paying(_root(root), 0, ALICE, uint64(bound(how, 0, 1e9)));
        if (settlement.queueTail() > last.queueEnd) p.queue = 1;
        uint64[] memory d = wordsOf(p);
        d[bound(word, 0, d.length - 1)] ^= uint64(1 << bound(how, 0, 55));
        vm.prank(OPERATOR);
        try settlement.commit(last, content(), pack(d)) returns (ISettlement.Batch memory made) {
            _refusedProof(made, "proof");
            vm.prank(OPERATOR);
            settlement.revertBatches();
            _forget();
        } catch {}
    }

    function prove(uint256 flip) external counted {
        uint64 next = settlement.proven() + 1;
        if (settlement.frozen() || next >= _batches.length) return;
        ISettlement.Batch memory made = _batches[next];
        bytes memory proof = proofOf(made);
        bytes memory flipped = abi.encodePacked(proof);
        flipped[flip % proof.length] ^= 0x01;
        _refusedProof(made, flipped);
        settlement.prove(made, proof);
        provenRoot[next] = made.root;
    }

    function execute(uint256 which) external counted {
        if (settlement.frozen() || _batches.length == 1) return;
        uint64 next = settlement.executed() + 1;
        uint64 tried = uint64(bound(which, 1, _batches.length - 1));
        bool allowed = tried == next && tried <= settlement.proven();
        try settlement.execute(_batches[tried], _payments[tried]) {
            if (!allowed) lieAccepted = true;
            served += _served[tried];
        } catch {
            if (allowed) lieAccepted = true;
        }
    }

    function pull(uint256 who, uint64 lots) external counted {
        address user = _user(who);
        uint64 most = settlement.owed(0, user);
        vm.prank(user);
        try settlement.pull(0, lots, user) {
            if (lots > most) lieAccepted = true;
        } catch {}
    }

    function takeBack() external counted {
        if (settlement.frozen() || settlement.committed() == settlement.proven()) return;
        vm.prank(OPERATOR);
        settlement.revertBatches();
        _forget();
    }

    function wait_(uint256 time) external counted {
        _time += bound(time, 1, 3 hours);
        vm.warp(_time);
    }

    function freeze() external counted {
        uint64 head = settlement.queueHead();
        bool late;
        if (head < settlement.queueTail()) {
            (, uint40 deadline) = settlement.items(head);
            late = _time > deadline;
        }
        bool before = settlement.frozen();
        try settlement.freeze() {
            if (!late || before) lieAccepted = true;
        } catch {
            if (late && !before) lieAccepted = true;
        }
    }

    function solvent() external view returns (bool) {
        ISettlement.Asset memory a = settlement.assetOf(0);
        uint256 all = uint256(settlement.owed(0, ALICE)) + settlement.owed(0, BOB);
        return all == a.owed && quote.balanceOf(address(settlement)) >= all + a.held;
    }

    function rooted() external view returns (bool) {
        uint64 executed = settlement.executed();
        return settlement.root() == provenRoot[executed] && executed <= settlement.proven()
            && settlement.proven() <= settlement.committed();
    }

    function inOrder() external view returns (bool) {
        return settlement.queueHead() == served && served <= settlement.queueTail()
            && settlement.queueTail() == queued.length;
    }

    function _refusedProof(ISettlement.Batch memory made, bytes memory proof) private {
        try settlement.prove(made, proof) {
            lieAccepted = true;
        } catch {}
    }

    /// @dev What was committed and not proven is no more.
    function _forget() private {
        while (_batches.length > settlement.proven() + 1) {
            _batches.pop();
            _payments.pop();
            _served.pop();
        }
    }

    /// @dev Lots that batches may still pay: held, less what those not yet executed pay.
    function _free() private view returns (uint64 free) {
        free = settlement.assetOf(0).held;
        for (uint256 i = settlement.executed() + 1; i < _payments.length; ++i) {
            bytes memory paid = _payments[i];
            uint256 lots;
            assembly ("memory-safe") {
                lots := shr(200, mload(add(paid, 60)))
            }
            free -= uint64(lots);
        }
    }

    function _room() private view returns (uint64) {
        ISettlement.Asset memory a = settlement.assetOf(0);
        return a.cap - a.held - a.owed;
    }

    function _user(uint256 who) private pure returns (address) {
        return who % 2 == 0 ? ALICE : BOB;
    }

    /// @dev Small halves, so that no random root is an alias.
    function _root(uint256 seed) private pure returns (bytes32) {
        return bytes32(seed & 0x00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff);
    }
}

contract InvariantsTest is Base {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handler private _handler;

    function setUp() external {
        _handler = new Handler();
        _handler.setUp();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](12);
        (s[0], s[1], s[2]) =
            (Handler.open.selector, Handler.withdraw.selector, Handler.pull.selector);
        (s[3], s[4], s[5]) = (Handler.batch.selector, Handler.prove.selector, Handler.lie.selector);
        (s[6], s[7], s[8]) =
            (Handler.execute.selector, Handler.takeBack.selector, Handler.wait_.selector);
        (s[9], s[10], s[11]) =
            (Handler.freeze.selector, Handler.execute.selector, Handler.prove.selector);
        targets[0] = FuzzSelector(address(_handler), s);
    }

    /// @dev Vault ≥ owed; the queue is never skipped; the root moves by proof only.
    function invariant_C1_C2_P6_vault_queue_and_root() external view {
        assertTrue(_handler.solvent());
        assertTrue(_handler.inOrder());
        assertTrue(_handler.rooted());
        assertTrue(!_handler.lieAccepted());
    }
}
