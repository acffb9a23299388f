// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {Settlement} from "../../src/Settlement.sol";

/// @dev A token that can be told to misbehave.
contract MockToken is ERC20 {
    enum Mood {
        Honest,
        Fee,
        False,
        Reenter
    }

    error Blacklisted(address account);

    uint8 private immutable _decimals;
    Mood public mood;
    Settlement public target;
    mapping(address => bool) public blacklisted;

    constructor(uint8 decimals_) ERC20("Token", "T") {
        _decimals = decimals_;
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setMood(Mood to, Settlement settlement) external {
        (mood, target) = (to, settlement);
    }

    function blacklist(address account) external {
        blacklisted[account] = true;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (mood == Mood.False) return false;
        if (mood == Mood.Reenter) target.pull(0, 1, to);
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount)
        public
        override
        returns (bool)
    {
        if (mood == Mood.False) return false;
        if (mood == Mood.Reenter) target.deposit(1024, 0, 1);
        return super.transferFrom(from, to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (blacklisted[to]) revert Blacklisted(to);
        super._update(from, to, amount);
        if (mood == Mood.Fee && from != address(0) && to != address(0)) {
            super._update(to, address(0), amount / 100);
        }
    }
}
