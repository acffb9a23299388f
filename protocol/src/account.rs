//! The account: leaf of the state tree \[S2\].
//!
//! leaf  = compress(money, H(L1 owner, rest))
//! money = slots 15..0, flagged_at, touched_at, cash
//! rest  = H(keys), nonce, generation, kind, orders_root
//!
//! Slots are absorbed from the highest down, so that a circuit for accounts with few slots starts
//! from a constant sponge state. `touched_at` is the epoch that last opened the leaf: opening
//! demands an older one and closing sets it, which is why no account opens twice in an epoch, in
//! whatever order the ledger's segments stand (docs/decisions.md, D1).

use serde::{Deserialize, Serialize};

use crate::bounds::SLOTS;
use crate::hash::{Digest, F, Tag, compress, compress_each, hash, hash_each, signed, unsigned};
use crate::types::{InstrumentId, Side};

pub const MONEY_WORDS: usize = 3 * SLOTS + 3;

/// A holding. Empty if and only if `size` is 0; then every field is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub instrument: InstrumentId,
    pub side: Side,
    /// Lots, > 0 where held.
    pub size: u64,
    /// The side's carry when it was last settled, micro-quote per lot, signed.
    pub carry: i64,
}

impl Slot {
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Instrument and side as one element, 2·id + side.
    pub fn key(&self) -> u64 {
        (u64::from(self.instrument.0) << 1) | self.side.bit()
    }

    /// Lots, negative for a short.
    pub fn signed_size(&self) -> i64 {
        let size = i64::try_from(self.size).unwrap_or(i64::MAX);
        match self.side {
            Side::Long => size,
            Side::Short => size.wrapping_neg(),
        }
    }
}

/// Cash and holdings: the part of a leaf that L1 publishes in full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Micro-quote, signed, |cash| < 2^60.
    pub cash: i64,
    /// Epoch of the liquidation flag, 0 for none \[Q1\].
    pub flagged_at: u32,
    /// Epoch that last opened this leaf.
    pub touched_at: u32,
    pub slots: [Slot; SLOTS],
}

impl Money {
    /// Elements in the order of absorption.
    pub fn words(&self) -> [F; MONEY_WORDS] {
        let mut words = [F::default(); MONEY_WORDS];
        let (slots, tail) = words.split_at_mut(3 * SLOTS);
        for (chunk, slot) in slots.chunks_mut(3).zip(self.slots.iter().rev()) {
            chunk.copy_from_slice(&[
                unsigned(slot.key()),
                unsigned(slot.size),
                signed(slot.carry),
            ]);
        }
        tail.copy_from_slice(&[
            unsigned(self.flagged_at.into()),
            unsigned(self.touched_at.into()),
            signed(self.cash),
        ]);
        words
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::Money, &self.words())
    }
}

/// What kind of account a leaf is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u64)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    #[default]
    Cross = 0,
    /// At most one slot besides cash \[L6\].
    Isolated = 1,
    System = 2,
}

/// A public key: the canonical encoding of a point of ecGFp5, an element of GF(p⁵). Zeros are none.
pub type PublicKey = [F; 5];

/// The account's own key and, or zeros, one that may sign orders and cancels only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    #[serde(with = "crate::wire")]
    pub key: PublicKey,
    #[serde(with = "crate::wire")]
    pub trading_key: PublicKey,
}

impl Keys {
    fn words(&self) -> [F; 10] {
        let mut words = [F::default(); 10];
        let (key, trading) = words.split_at_mut(5);
        key.copy_from_slice(&self.key);
        trading.copy_from_slice(&self.trading_key);
        words
    }

    pub fn digest(&self) -> Digest {
        hash(Tag::Keys, &self.words())
    }
}

/// An L1 address as three elements of 7, 7 and 6 bytes, most significant first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub [u8; 20]);

impl Owner {
    pub fn words(&self) -> [F; 3] {
        let number = |bytes: &[u8]| {
            unsigned(
                bytes
                    .iter()
                    .fold(0u64, |acc, byte| (acc << 8) | u64::from(*byte)),
            )
        };
        let (high, tail) = self.0.split_at(7);
        let (middle, low) = tail.split_at(7);
        [number(high), number(middle), number(low)]
    }
}

/// The part of a leaf of which L1 publishes only the digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    pub keys: Keys,
    pub nonce: u32,
    pub generation: u32,
    pub kind: AccountKind,
    #[serde(with = "crate::wire")]
    pub orders_root: Digest,
}

impl Rest {
    pub fn digest(&self) -> Digest {
        hash(Tag::Rest, &self.words(self.keys.digest()))
    }

    fn words(&self, keys: Digest) -> [F; 11] {
        let keys = keys.elements;
        let orders = self.orders_root.elements;
        [
            keys[0],
            keys[1],
            keys[2],
            keys[3],
            unsigned(self.nonce.into()),
            unsigned(self.generation.into()),
            unsigned(self.kind as u64),
            orders[0],
            orders[1],
            orders[2],
            orders[3],
        ]
    }
}

/// A leaf's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub money: Money,
    pub owner: Owner,
    pub rest: Rest,
}

impl Account {
    pub fn digest(&self) -> Digest {
        compress(
            self.money.digest(),
            owned_rest(&self.owner, self.rest.digest()),
        )
    }
}

/// Every account's digest, hashed side by side.
pub fn digests(accounts: &[&Account]) -> Vec<Digest> {
    let keys: Vec<_> = accounts.iter().map(|a| a.rest.keys.words()).collect();
    let keys = hash_each(Tag::Keys, &keys);
    let rests = accounts.iter().zip(keys);
    let rests: Vec<_> = rests.map(|(a, keys)| a.rest.words(keys)).collect();
    let rests = hash_each(Tag::Rest, &rests);
    let leaves = accounts.iter().zip(rests);
    let leaves: Vec<_> = leaves.map(|(a, rest)| (&a.money, a.owner, rest)).collect();
    leaf_digests(&leaves)
}

/// Digests of leaves of which only the rest's digest is known.
pub fn leaf_digests(leaves: &[(&Money, Owner, Digest)]) -> Vec<Digest> {
    let money: Vec<_> = leaves.iter().map(|(money, ..)| money.words()).collect();
    let owned = leaves
        .iter()
        .map(|(_, owner, rest)| owned_words(owner, *rest));
    let owned: Vec<_> = owned.collect();
    compress_each(
        &hash_each(Tag::Money, &money),
        &hash_each(Tag::OwnedRest, &owned),
    )
}

/// H(L1 owner, rest): what an owner shows L1 without the operator's help.
pub fn owned_rest(owner: &Owner, rest: Digest) -> Digest {
    hash(Tag::OwnedRest, &owned_words(owner, rest))
}

fn owned_words(owner: &Owner, rest: Digest) -> [F; 7] {
    let o = owner.words();
    let r = rest.elements;
    [o[0], o[1], o[2], r[0], r[1], r[2], r[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_accounts_side_by_side_hash_as_each_alone() {
        let accounts: Vec<Account> = (0..21u32)
            .map(|i| {
                let mut account = Account::default();
                account.money.cash = i64::from(i) - 10;
                account.money.slots[0].size = i.into();
                account.money.touched_at = i;
                account.owner = Owner([i as u8; 20]);
                account.rest.nonce = i;
                account.rest.keys.trading_key = [unsigned(i.into()); 5];
                account.rest.orders_root.elements[1] = unsigned(i.into());
                account
            })
            .collect();
        for count in [0, 1, 2, accounts.len()] {
            let accounts: Vec<&Account> = accounts.iter().take(count).collect();
            let expected: Vec<Digest> = accounts.iter().map(|a| a.digest()).collect();
            assert_eq!(digests(&accounts), expected);
        }
    }
}
