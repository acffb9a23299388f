// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BatchData} from "../src/BatchData.sol";
import {Scene} from "./Scene.sol";

/// @dev The library at an address of the test's choice.
contract Reader {
    function read(bytes calldata data) external view returns (BatchData.Statement memory) {
        return BatchData.read(data);
    }

    function records(bytes calldata data, uint64 start, bytes27 chain)
        external
        view
        returns (BatchData.Records memory)
    {
        return BatchData.records(BatchData.read(data), start, chain);
    }

    function instances(bytes calldata data, uint64[4] calldata content)
        external
        view
        returns (uint256[3] memory)
    {
        return BatchData.instances(BatchData.read(data), content);
    }
}

/// @dev tests/vectors/l1.json, which tests/tests/vectors.rs writes and checks.
contract VectorsTest is Scene {
    string private _json;

    function setUp() public override {
        super.setUp();
        _json = vm.readFile("../tests/vectors/l1.json");
    }

    function number(string memory key) private view returns (uint256) {
        return vm.parseJsonUint(_json, key);
    }

    function reader() private returns (Reader) {
        vm.chainId(number(".batch.chain_id"));
        address target = vm.parseJsonAddress(_json, ".batch.contract");
        vm.etch(target, address(new Reader()).code);
        return Reader(target);
    }

    function test_P6_the_statement_is_read_as_rust_writes_it() public {
        bytes memory data = vm.parseJsonBytes(_json, ".batch.data");
        BatchData.Statement memory s = reader().read(data);
        assertEq(s.words, data.length / 7);
        assertEq(s.firstEpoch, number(".batch.first_epoch"));
        assertEq(s.lastEpoch, number(".batch.last_epoch"));
        assertEq(s.round, number(".batch.round"));
        assertEq(s.time, number(".batch.time"));
        assertEq(s.stateBefore, bytes32(vm.parseJsonBytes(_json, ".batch.state_before")));
        assertEq(s.stateAfter, bytes32(vm.parseJsonBytes(_json, ".batch.state_after")));
    }

    function test_P6_the_records_are_read_as_rust_writes_them() public {
        bytes memory data = vm.parseJsonBytes(_json, ".batch.data");
        uint64 start = uint64(number(".batch.queue_start"));
        BatchData.Records memory r = reader().records(data, start, 0);
        bytes memory items = vm.parseJsonBytes(_json, ".batch.items");
        bytes27 chain;
        for (uint256 i = 0; i < items.length; i += 210) {
            chain = BatchData.extend(chain, keccak256(slice(items, i, 210)));
        }
        assertEq(r.queueEnd, start + items.length / 210);
        assertEq(r.queueChain, chain);
        assertEq(r.withdrawals, keccak256(vm.parseJsonBytes(_json, ".batch.withdrawals")));
    }

    function test_P6_C_z_and_y_are_packed_as_rust_packs_them() public {
        bytes memory data = vm.parseJsonBytes(_json, ".batch.data");
        uint256[] memory c = vm.parseJsonUintArray(_json, ".batch.content");
        uint64[4] memory content_ = [uint64(c[0]), uint64(c[1]), uint64(c[2]), uint64(c[3])];
        uint256[3] memory got = reader().instances(data, content_);
        uint256[] memory z = vm.parseJsonUintArray(_json, ".batch.z");
        uint256[] memory y = vm.parseJsonUintArray(_json, ".batch.y");
        assertEq(got[0], c[0] | (c[1] << 64) | (c[2] << 128));
        assertEq(got[1], c[3] | (z[0] << 64) | (z[1] << 128));
        assertEq(got[2], y[0] | (y[1] << 64));
        uint256[] memory instances = vm.parseJsonUintArray(_json, ".batch.instances");
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(got[i], instances[i]);
        }
    }

    /// @dev Every kind of request, asked of the contract, is chained as Rust would publish it.
    function test_J4_items_are_published_as_rust_publishes_them() public {
        uint256[] memory words = vm.parseJsonUintArray(_json, ".items.words");
        bytes memory published = vm.parseJsonBytes(_json, ".items.published");
        uint256 count = words.length / 20;
        assertEq(published.length, count * 210);
        bytes27 chain;
        for (uint256 i = 0; i < count; ++i) {
            uint64[20] memory w;
            for (uint256 j = 0; j < 20; ++j) {
                w[j] = uint64(words[20 * i + j]);
            }
            ask(w);
            chain = BatchData.extend(chain, keccak256(slice(published, 210 * i, 210)));
            (bytes27 got,) = settlement.items(uint64(i));
            assertEq(got, chain);
        }
        assertEq(settlement.queueTail(), count);
    }

    function ask(uint64[20] memory w) private {
        uint32 account = uint32(w[1]);
        uint64[10] memory k;
        for (uint256 i = 0; i < 10; ++i) {
            k[i] = w[10 + i];
        }
        if (w[0] == 8) {
            uint64[15] memory c;
            for (uint256 i = 0; i < 15; ++i) {
                c[i] = w[i + 1];
            }
            return govern(abi.encodeCall(settlement.requestChange, (c)));
        }
        address sender = address((uint160(w[3]) << 104) | (uint160(w[4]) << 48) | w[5]);
        // A flag and an absorption name nobody.
        if (sender == address(0)) sender = ALICE;
        quote.mint(sender, 1e12);
        vm.startPrank(sender);
        quote.approve(address(settlement), type(uint256).max);
        if (w[0] == 1 && w[9] & 2 != 0) {
            assertEq(settlement.open(0, w[7], k, w[9] & 4 != 0), account);
        } else if (w[0] == 1) {
            settlement.deposit(account, 0, w[7]);
        } else if (w[0] == 2) {
            settlement.requestWithdraw(account, 0, w[7]);
        } else if (w[0] == 3) {
            settlement.requestKeyChange(account, k);
        } else if (w[0] == 4) {
            settlement.requestCancelAll(account);
        } else if (w[0] == 5) {
            settlement.requestFlag(account);
        } else if (w[0] == 6) {
            settlement.requestTake(
                account, uint32(w[2]), uint32(w[6]), w[9] == 1, w[7], w[8]
            );
        } else {
            assertEq(w[0], 7);
            settlement.requestAbsorb(account);
        }
        vm.stopPrank();
    }

    function slice(bytes memory data, uint256 from, uint256 size)
        private
        pure
        returns (bytes memory out)
    {
        out = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            out[i] = data[from + i];
        }
    }
}
