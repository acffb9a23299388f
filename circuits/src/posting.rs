//! Twin of `tally_protocol::posting`: the tuple that goes from journal to ledger \[J1\].

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::posting::{POSTING_WORDS, Posting};

use crate::{Builder, F};

/// Twin of `Posting`. Its words are whatever the journal puts there; what each stands for is held
/// by the journal's circuits, and by the ledger where it says so.
#[derive(Clone, Copy, Debug)]
pub struct PostingTarget {
    pub kind: Target,
    pub epoch: Target,
    pub account: Target,
    pub index: Target,
    pub instrument: Target,
    pub delta_size: Target,
    pub delta_cash: Target,
    pub digest: HashOutTarget,
    pub place: Target,
    pub sequence: Target,
    pub generation: Target,
    pub order_size: Target,
    pub needs: Target,
    pub aux: HashOutTarget,
}

impl PostingTarget {
    /// Free targets: for the receiving side, where the bus holds them to what was sent.
    pub fn new_unchecked(b: &mut Builder) -> Self {
        Self {
            kind: b.add_virtual_target(),
            epoch: b.add_virtual_target(),
            account: b.add_virtual_target(),
            index: b.add_virtual_target(),
            instrument: b.add_virtual_target(),
            delta_size: b.add_virtual_target(),
            delta_cash: b.add_virtual_target(),
            digest: b.add_virtual_hash(),
            place: b.add_virtual_target(),
            sequence: b.add_virtual_target(),
            generation: b.add_virtual_target(),
            order_size: b.add_virtual_target(),
            needs: b.add_virtual_target(),
            aux: b.add_virtual_hash(),
        }
    }

    /// Twin of `Posting::words`.
    pub fn words(&self) -> [Target; POSTING_WORDS] {
        let digest = self.digest.elements;
        let aux = self.aux.elements;
        [
            self.kind,
            self.epoch,
            self.account,
            self.index,
            self.instrument,
            self.delta_size,
            self.delta_cash,
            digest[0],
            digest[1],
            digest[2],
            digest[3],
            self.place,
            self.sequence,
            self.generation,
            self.order_size,
            self.needs,
            aux[0],
            aux[1],
            aux[2],
            aux[3],
        ]
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &Posting) -> anyhow::Result<()> {
        witness.set_target_arr(&self.words(), &value.words())
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::Field;
    use plonky2::hash::hash_types::HashOut;
    use tally_protocol::posting::{Needs, PostingKind};
    use tally_protocol::types::{AccountId, InstrumentId};

    use super::*;
    use crate::checker::Checker;

    #[test]
    fn agrees_with_the_native_tuple_field_by_field() {
        let digest = |from: u64| HashOut {
            elements: core::array::from_fn(|i| F::from_canonical_u64(from + i as u64)),
        };
        let posting = Posting {
            kind: PostingKind::Cancel,
            epoch: 1,
            account: AccountId(2),
            index: 3,
            instrument: InstrumentId(4),
            delta_size: -5,
            delta_cash: -6,
            digest: digest(70),
            place: 8,
            sequence: 9,
            generation: 10,
            order_size: 11,
            needs: Needs(12),
            aux: digest(130),
        };
        let mut b = Builder::new();
        let target = PostingTarget::new_unchecked(&mut b);
        let checker = Checker::new(b);
        let mut witness = PartialWitness::new();
        target.assign(&mut witness, &posting).unwrap();
        let got = checker.check(&witness).unwrap();
        assert_eq!(got.get_all(&target.words()), posting.words());
        let fields = [
            (target.kind, 20),
            (target.epoch, 1),
            (target.account, 2),
            (target.index, 3),
            (target.instrument, 4),
            (target.place, 8),
            (target.sequence, 9),
            (target.generation, 10),
            (target.order_size, 11),
            (target.needs, 12),
        ];
        for (field, value) in fields {
            assert_eq!(got.get(field), F::from_canonical_u64(value));
        }
        assert_eq!(got.get(target.delta_size), -F::from_canonical_u64(5));
        assert_eq!(got.get(target.delta_cash), -F::from_canonical_u64(6));
        assert_eq!(got.get_all(&target.digest.elements), digest(70).elements);
        assert_eq!(got.get_all(&target.aux.elements), digest(130).elements);
    }
}
