//! Twins of `tally_protocol::account`: the parts of a leaf and their digests [S2].

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::account::{Account, Keys, MONEY_WORDS, Money, Owner};
use tally_protocol::bounds::SLOTS;
use tally_protocol::hash::{RATE, Tag, signed, unsigned};

use crate::hash::{Sponge, compress, hash};
use crate::{Builder, F};

/// Twin of `Slot`: 2·id + side, lots, carry at entry.
#[derive(Clone, Copy, Debug)]
pub struct SlotTarget {
    pub key: Target,
    pub size: Target,
    pub carry: Target,
}

/// Twin of `Money`; slots above the shape's are empty.
#[derive(Clone, Debug)]
pub struct MoneyTarget {
    pub cash: Target,
    pub flagged_at: Target,
    pub touched_at: Target,
    pub slots: Vec<SlotTarget>,
}

impl MoneyTarget {
    /// Free targets; the leaf's digest holds them to what an earlier close wrote.
    pub fn new_unchecked(b: &mut Builder, slots: usize) -> Self {
        let slot = |b: &mut Builder| {
            let [key, size, carry] = b.add_virtual_target_arr();
            SlotTarget { key, size, carry }
        };
        Self {
            cash: b.add_virtual_target(),
            flagged_at: b.add_virtual_target(),
            touched_at: b.add_virtual_target(),
            slots: (0..slots).map(|_| slot(b)).collect(),
        }
    }

    /// Twin of `Money::digest`. Chunks of nothing but empty upper slots are a constant state (D5).
    /// Cost: 3 rows for 4 slots, 7 for 16.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        let mut words = vec![b.zero(); 3 * (SLOTS - self.slots.len())];
        for slot in self.slots.iter().rev() {
            words.extend([slot.key, slot.size, slot.carry]);
        }
        words.extend([self.flagged_at, self.touched_at, self.cash]);
        assert_eq!(words.len(), MONEY_WORDS);
        let empty = 3 * (SLOTS - self.slots.len()) / RATE;
        let mut prefix = tally_protocol::hash::Sponge::new(Tag::Money, MONEY_WORDS);
        for _ in 0..empty {
            prefix.absorb(&[F::default(); RATE]);
        }
        let mut sponge = Sponge::resume(b, &prefix);
        for chunk in words[empty * RATE..].chunks(RATE) {
            sponge.absorb(b, chunk);
        }
        sponge.digest()
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Money) -> anyhow::Result<()> {
        let (held, above) = value.slots.split_at(self.slots.len());
        anyhow::ensure!(
            above.iter().all(|slot| slot.is_empty()),
            "the shape has {} slots",
            held.len()
        );
        witness.set_target(self.cash, signed(value.cash))?;
        witness.set_target(self.flagged_at, unsigned(value.flagged_at.into()))?;
        witness.set_target(self.touched_at, unsigned(value.touched_at.into()))?;
        for (target, slot) in self.slots.iter().zip(held) {
            witness.set_target(target.key, unsigned(slot.key()))?;
            witness.set_target(target.size, unsigned(slot.size))?;
            witness.set_target(target.carry, signed(slot.carry))?;
        }
        Ok(())
    }
}

/// Twin of `Keys`.
#[derive(Clone, Copy, Debug)]
pub struct KeysTarget {
    pub key: [Target; 5],
    pub trading_key: [Target; 5],
}

impl KeysTarget {
    pub fn new_unchecked(b: &mut Builder) -> Self {
        Self {
            key: b.add_virtual_target_arr(),
            trading_key: b.add_virtual_target_arr(),
        }
    }

    pub fn words(&self) -> [Target; 10] {
        core::array::from_fn(|i| match i {
            0..5 => self.key[i],
            _ => self.trading_key[i - 5],
        })
    }

    pub fn from_words(words: [Target; 10]) -> Self {
        Self {
            key: core::array::from_fn(|i| words[i]),
            trading_key: core::array::from_fn(|i| words[5 + i]),
        }
    }

    /// Twin of `Keys::digest`. Cost: 2 rows.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        hash(b, Tag::Keys, &self.words())
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Keys) -> anyhow::Result<()> {
        witness.set_target_arr(&self.key, &value.key)?;
        witness.set_target_arr(&self.trading_key, &value.trading_key)
    }
}

/// Twin of `Rest`, with its keys as their digest.
#[derive(Clone, Copy, Debug)]
pub struct RestTarget {
    pub keys: HashOutTarget,
    pub nonce: Target,
    pub generation: Target,
    pub kind: Target,
    pub orders_root: HashOutTarget,
}

impl RestTarget {
    /// Twin of `Rest::digest`. Cost: 2 rows.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        let counters = [self.nonce, self.generation, self.kind];
        let words = [
            self.keys.elements.as_slice(),
            &counters,
            &self.orders_root.elements,
        ];
        hash(b, Tag::Rest, &words.concat())
    }
}

/// Twin of `owned_rest`. Cost: 1 row.
pub fn owned_rest(b: &mut Builder, owner: &[Target; 3], rest: HashOutTarget) -> HashOutTarget {
    hash(
        b,
        Tag::OwnedRest,
        &[owner.as_slice(), &rest.elements].concat(),
    )
}

/// Twin of `Account`: a leaf's content.
#[derive(Clone, Debug)]
pub struct AccountTarget {
    pub money: MoneyTarget,
    pub owner: [Target; 3],
    pub keys: KeysTarget,
    pub rest: RestTarget,
}

impl AccountTarget {
    /// Free targets, but for the keys' digest.
    pub fn new_unchecked(b: &mut Builder, slots: usize) -> Self {
        let keys = KeysTarget::new_unchecked(b);
        Self {
            money: MoneyTarget::new_unchecked(b, slots),
            owner: b.add_virtual_target_arr(),
            rest: RestTarget {
                keys: keys.digest(b),
                nonce: b.add_virtual_target(),
                generation: b.add_virtual_target(),
                kind: b.add_virtual_target(),
                orders_root: b.add_virtual_hash(),
            },
            keys,
        }
    }

    /// Twin of `Account::digest`. Cost: 7 rows for 4 slots, 11 for 16.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        let money = self.money.digest(b);
        let rest = self.rest.digest(b);
        let rest = owned_rest(b, &self.owner, rest);
        compress(b, money, rest)
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Account) -> anyhow::Result<()> {
        self.money.assign(witness, &value.money)?;
        witness.set_target_arr(&self.owner, &owner_words(&value.owner))?;
        self.keys.assign(witness, &value.rest.keys)?;
        witness.set_target(self.rest.nonce, unsigned(value.rest.nonce.into()))?;
        witness.set_target(self.rest.generation, unsigned(value.rest.generation.into()))?;
        witness.set_target(self.rest.kind, unsigned(value.rest.kind as u64))?;
        witness.set_hash_target(self.rest.orders_root, value.rest.orders_root)
    }
}

fn owner_words(owner: &Owner) -> [F; 3] {
    owner.words()
}
