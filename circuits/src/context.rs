//! Twin of `tally_protocol::header::Context`: what holds for a whole epoch (docs/decisions.md, D3).

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::Tag;
use tally_protocol::header::{CONTEXT_WORDS, Context, GLOBALS_WORDS};

use crate::{Builder, F, hash};

/// Twin of `Globals`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalsTarget {
    pub chain_id: Target,
    pub contract: [Target; 3],
    pub fill_pause: Target,
    pub flag_lifetime: Target,
    pub auction_epochs: Target,
    pub timelock: Target,
    pub feed_set: Target,
    pub fee_owner: [Target; 3],
}

impl GlobalsTarget {
    pub fn words(&self) -> [Target; GLOBALS_WORDS] {
        let [c0, c1, c2] = self.contract;
        let [f0, f1, f2] = self.fee_owner;
        [
            self.chain_id,
            c0,
            c1,
            c2,
            self.fill_pause,
            self.flag_lifetime,
            self.auction_epochs,
            self.timelock,
            self.feed_set,
            f0,
            f1,
            f2,
        ]
    }
}

/// Twin of `Context`. Members have their native widths because the epoch's root compares the digest
/// with the header segment's, which checks each member; nobody else needs to range-check them.
#[derive(Clone, Copy, Debug)]
pub struct ContextTarget {
    pub globals: GlobalsTarget,
    pub epoch: Target,
    pub round: Target,
    pub time: Target,
    pub entries_allowed: BoolTarget,
    pub fills_allowed: BoolTarget,
    pub deficit: Target,
    pub vault: Target,
    pub recovery: Target,
    pub losses: Target,
    pub unwind_budget: Target,
    pub header_before: HashOutTarget,
    pub header_after: HashOutTarget,
    pub table: HashOutTarget,
    pub reports: HashOutTarget,
}

impl ContextTarget {
    /// Members to be set by the witness.
    pub fn new(b: &mut Builder) -> Self {
        Self::from_words(b.add_virtual_target_arr())
    }

    pub fn words(&self) -> [Target; CONTEXT_WORDS] {
        let numbers = [
            self.epoch,
            self.round,
            self.time,
            self.entries_allowed.target,
            self.fills_allowed.target,
            self.deficit,
            self.vault,
            self.recovery,
            self.losses,
            self.unwind_budget,
        ];
        let digests = [
            self.header_before,
            self.header_after,
            self.table,
            self.reports,
        ];
        let digests: Vec<Target> = digests.iter().flat_map(|digest| digest.elements).collect();
        let words = [self.globals.words().as_slice(), &numbers, &digests].concat();
        core::array::from_fn(|i| words[i])
    }

    fn from_words(words: [Target; CONTEXT_WORDS]) -> Self {
        let [
            chain_id,
            c0,
            c1,
            c2,
            fill_pause,
            flag_lifetime,
            auction_epochs,
            timelock,
            feed_set,
            f0,
            f1,
            f2,
            ..,
        ] = words;
        let number = |i: usize| words[GLOBALS_WORDS + i];
        let digest = |i: usize| HashOutTarget {
            elements: core::array::from_fn(|j| words[GLOBALS_WORDS + 10 + 4 * i + j]),
        };
        Self {
            globals: GlobalsTarget {
                chain_id,
                contract: [c0, c1, c2],
                fill_pause,
                flag_lifetime,
                auction_epochs,
                timelock,
                feed_set,
                fee_owner: [f0, f1, f2],
            },
            epoch: number(0),
            round: number(1),
            time: number(2),
            entries_allowed: BoolTarget::new_unsafe(number(3)),
            fills_allowed: BoolTarget::new_unsafe(number(4)),
            deficit: number(5),
            vault: number(6),
            recovery: number(7),
            losses: number(8),
            unwind_budget: number(9),
            header_before: digest(0),
            header_after: digest(1),
            table: digest(2),
            reports: digest(3),
        }
    }

    /// Cost: 5 rows.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        hash::hash(b, Tag::Context, &self.words())
    }

    pub fn set(&self, witness: &mut PartialWitness<F>, context: &Context) -> anyhow::Result<()> {
        witness.set_target_arr(&self.words(), &context.words())
    }
}

#[cfg(test)]
mod tests {
    use tally_protocol::hash::unsigned;

    use super::*;
    use crate::checker::Checker;

    /// Each member differs from the others, so that a swap shows.
    fn example() -> Context {
        let digest = |n: u64| [n, n + 1, n + 2, n + 3].map(unsigned).into();
        Context {
            epoch: 1,
            round: 2,
            time: 3,
            entries_allowed: true,
            fills_allowed: false,
            deficit: 4,
            vault: 5,
            recovery: 6,
            losses: 7,
            unwind_budget: 8,
            header_before: digest(10),
            header_after: digest(20),
            table: digest(30),
            reports: digest(40),
            ..Context::default()
        }
    }

    #[test]
    fn agrees_with_the_native_context() {
        let mut b = Builder::new();
        let target = ContextTarget::new(&mut b);
        let digest = target.digest(&mut b);
        assert_eq!(b.rows(), 5);
        let checker = Checker::new(b);
        let context = example();
        let mut witness = PartialWitness::new();
        target.set(&mut witness, &context).unwrap();
        let accepted = checker.check(&witness).unwrap();
        assert_eq!(
            accepted.get_all(&digest.elements),
            context.digest().elements
        );
        let values = [target.epoch, target.time, target.deficit, target.losses];
        assert_eq!(accepted.get_all(&values), [1, 3, 4, 7].map(unsigned));
        assert_eq!(
            accepted.get_all(&target.table.elements),
            context.table.elements
        );
    }
}
