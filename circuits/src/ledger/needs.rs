//! Twin of `tally_protocol::posting::Needs`: one bit, one check of the ledger.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::{BoolTarget, Target};
use tally_protocol::posting::Needs;

use crate::{Builder, F};

/// Bits that a plain shape serves; a posting with another one goes to a full shape.
pub const PLAIN_NEEDS: [Needs; 11] = [
    Needs::ORDER,
    Needs::NONCE,
    Needs::TRADING_KEY,
    Needs::REDUCE_ONLY,
    Needs::AMEND,
    Needs::OUTFLOW,
    Needs::CANCEL_ALL,
    Needs::ORDINARY,
    Needs::MAY_GROW,
    Needs::WHILE_FLAGGED,
    Needs::DEPOSIT,
];

/// The bits of a posting's needs. One that the shape does not serve is the constant 0.
#[derive(Clone, Debug)]
pub(super) struct NeedsTarget {
    bits: Vec<BoolTarget>,
}

impl NeedsTarget {
    /// Statement: needs = Σ bit·2^i over the bits that the shape serves. Cost: 2 operations a bit.
    pub fn new(b: &mut Builder, needs: Target, serves: impl Fn(Needs) -> bool) -> Self {
        let mut bits = vec![b._false(); Needs::COUNT as usize];
        let served = (0..Needs::COUNT).filter(|i| serves(Needs(1 << i)));
        let served: Vec<u32> = served.collect();
        let hints = b.hint("needs", &[needs], served.len(), {
            let served = served.clone();
            move |v| {
                let needs = v[0].to_canonical_u64();
                let bit = |i: &u32| F::from_bool(needs >> i & 1 == 1);
                served.iter().map(bit).collect()
            }
        });
        let one = b.one();
        let mut sum = b.zero();
        for (&i, &bit) in served.iter().zip(&hints) {
            let bit = BoolTarget::new_unsafe(bit);
            b.assert_bool(bit);
            let weight = F::from_canonical_u64(1 << i);
            sum = b.arithmetic(weight, F::ONE, bit.target, one, sum);
            bits[i as usize] = bit;
        }
        b.connect(sum, needs);
        Self { bits }
    }

    pub fn has(&self, need: Needs) -> BoolTarget {
        self.bits[need.0.trailing_zeros() as usize]
    }

    /// The same with every bit but `kept` cleared if `cleared` is set.
    pub fn clear_if(&self, b: &mut Builder, cleared: BoolTarget, kept: &[Needs]) -> Self {
        let stays = b.not(cleared);
        let mut bits = self.bits.clone();
        for (i, bit) in bits.iter_mut().enumerate() {
            if !kept.contains(&Needs(1 << i)) {
                *bit = b.and(*bit, stays);
            }
        }
        Self { bits }
    }
}
