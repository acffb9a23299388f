//! Twins of `tally_protocol::instrument`'s two readings of a row: what the ledger reads, and what
//! the journal reads. Whoever reads one takes free targets and lets the bus hold them to the row
//! segment's.

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::{signed, unsigned};
use tally_protocol::instrument::{MARGIN_ROW_WORDS, MARKET_ROW_WORDS, MarginRow, MarketRow, flags};

use crate::{Builder, F};

/// Twin of `MarginRow`.
#[derive(Clone, Copy, Debug)]
pub struct MarginRowTarget {
    pub id: Target,
    pub long_carry: Target,
    pub short_carry: Target,
    pub value: Target,
    pub initial_long: Target,
    pub initial_short: Target,
    pub maintenance_long: Target,
    pub maintenance_short: Target,
    pub outflow_long: Target,
    pub outflow_short: Target,
    pub shift_long: Target,
    pub shift_short: Target,
    pub max_size: Target,
    pub flags: Target,
}

impl MarginRowTarget {
    /// Free targets. `max_size` and `flags` share a word: a reader who uses either must hold
    /// `flags` < 2^4.
    pub fn new_unchecked(b: &mut Builder) -> Self {
        Self {
            id: b.add_virtual_target(),
            long_carry: b.add_virtual_target(),
            short_carry: b.add_virtual_target(),
            value: b.add_virtual_target(),
            initial_long: b.add_virtual_target(),
            initial_short: b.add_virtual_target(),
            maintenance_long: b.add_virtual_target(),
            maintenance_short: b.add_virtual_target(),
            outflow_long: b.add_virtual_target(),
            outflow_short: b.add_virtual_target(),
            shift_long: b.add_virtual_target(),
            shift_short: b.add_virtual_target(),
            max_size: b.add_virtual_target(),
            flags: b.add_virtual_target(),
        }
    }

    /// Twin of `MarginRow::words`. Cost: 1 operation.
    pub fn words(&self, b: &mut Builder) -> [Target; MARGIN_ROW_WORDS] {
        let shift = F::from_canonical_u64(1 << flags::COUNT);
        let one = b.one();
        let bounds = b.arithmetic(shift, F::ONE, self.max_size, one, self.flags);
        [
            self.id,
            self.long_carry,
            self.short_carry,
            self.value,
            self.initial_long,
            self.initial_short,
            self.maintenance_long,
            self.maintenance_short,
            self.outflow_long,
            self.outflow_short,
            self.shift_long,
            self.shift_short,
            bounds,
        ]
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &MarginRow) -> anyhow::Result<()> {
        let pairs = [
            (self.id, unsigned(value.id.0.into())),
            (self.long_carry, signed(value.long_carry)),
            (self.short_carry, signed(value.short_carry)),
            (self.value, unsigned(value.value)),
            (self.initial_long, unsigned(value.initial_long)),
            (self.initial_short, unsigned(value.initial_short)),
            (self.maintenance_long, unsigned(value.maintenance_long)),
            (self.maintenance_short, unsigned(value.maintenance_short)),
            (self.outflow_long, unsigned(value.outflow_long)),
            (self.outflow_short, unsigned(value.outflow_short)),
            (self.shift_long, unsigned(value.shift_long)),
            (self.shift_short, unsigned(value.shift_short)),
            (self.max_size, unsigned(value.max_size)),
            (self.flags, unsigned(value.flags)),
        ];
        for (target, element) in pairs {
            witness.set_target(target, element)?;
        }
        Ok(())
    }
}

/// Twin of `MarketRow`.
#[derive(Clone, Copy, Debug)]
pub struct MarketRowTarget {
    pub id: Target,
    pub kind: Target,
    pub asset: Target,
    pub row: Target,
    pub mark: Target,
    pub index: Target,
    pub min_fill: Target,
    pub max_fill: Target,
    pub penalty: Target,
    pub max_size: Target,
    pub insurance_since: Target,
    pub flags: Target,
}

impl MarketRowTarget {
    /// Free targets.
    pub fn new_unchecked(b: &mut Builder) -> Self {
        Self {
            id: b.add_virtual_target(),
            kind: b.add_virtual_target(),
            asset: b.add_virtual_target(),
            row: b.add_virtual_target(),
            mark: b.add_virtual_target(),
            index: b.add_virtual_target(),
            min_fill: b.add_virtual_target(),
            max_fill: b.add_virtual_target(),
            penalty: b.add_virtual_target(),
            max_size: b.add_virtual_target(),
            insurance_since: b.add_virtual_target(),
            flags: b.add_virtual_target(),
        }
    }

    /// Twin of `MarketRow::words`.
    pub fn words(&self) -> [Target; MARKET_ROW_WORDS] {
        [
            self.id,
            self.kind,
            self.asset,
            self.row,
            self.mark,
            self.index,
            self.min_fill,
            self.max_fill,
            self.penalty,
            self.max_size,
            self.insurance_since,
            self.flags,
        ]
    }

    pub fn assign(&self, witness: &mut PartialWitness<F>, value: &MarketRow) -> anyhow::Result<()> {
        witness.set_target_arr(&self.words(), &value.words())
    }
}

#[cfg(test)]
mod tests {
    use tally_protocol::instrument::InstrumentKind;
    use tally_protocol::types::InstrumentId;

    use super::*;
    use crate::checker::Checker;

    #[test]
    fn agrees_with_the_native_margin_row() {
        let row = MarginRow {
            id: InstrumentId(1),
            long_carry: -2,
            short_carry: 3,
            value: 4,
            initial_long: 5,
            initial_short: 6,
            maintenance_long: 7,
            maintenance_short: 8,
            outflow_long: 9,
            outflow_short: 10,
            shift_long: 11,
            shift_short: 12,
            max_size: 13,
            flags: flags::CLAMPED | flags::REDUCE_ONLY,
        };
        let mut b = Builder::new();
        let target = MarginRowTarget::new_unchecked(&mut b);
        let words = target.words(&mut b);
        let checker = Checker::new(b);
        let mut witness = PartialWitness::new();
        target.assign(&mut witness, &row).unwrap();
        let got = checker.check(&witness).unwrap();
        assert_eq!(got.get_all(&words), row.words());
    }

    #[test]
    fn agrees_with_the_native_market_row() {
        let row = MarketRow {
            id: InstrumentId(1),
            kind: InstrumentKind::Spot,
            asset: 3,
            row: 4,
            mark: 5,
            index: 6,
            min_fill: 7,
            max_fill: 8,
            penalty: 9,
            max_size: 10,
            insurance_since: 11,
            flags: 12,
        };
        let mut b = Builder::new();
        let target = MarketRowTarget::new_unchecked(&mut b);
        let checker = Checker::new(b);
        let mut witness = PartialWitness::new();
        target.assign(&mut witness, &row).unwrap();
        let got = checker.check(&witness).unwrap();
        assert_eq!(got.get_all(&target.words()), row.words());
        let fields = [
            target.id,
            target.kind,
            target.asset,
            target.row,
            target.mark,
            target.index,
            target.min_fill,
            target.max_fill,
            target.penalty,
            target.max_size,
            target.insurance_since,
            target.flags,
        ];
        assert_eq!(got.get_all(&fields), row.words());
    }
}
