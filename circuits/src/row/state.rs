//! Twins of `Row` and `RowParams`: words with names.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::{Tag, unsigned};
use tally_protocol::instrument::{InstrumentKind, ROW_PARAM_WORDS, ROW_WORDS, Row, RowParams};

use crate::gadgets::logic;
use crate::{Builder, F, hash};

/// Words of a row beside its parameters' digest.
pub const STATE_WORDS: usize = ROW_WORDS - 4;

/// Twin of `RowParams`, in the order of its words.
#[derive(Clone, Copy, Debug)]
pub struct ParamsTarget {
    pub words: [Target; ROW_PARAM_WORDS],
}

impl ParamsTarget {
    /// Free targets: a digest that was opened holds them to what was listed.
    pub fn new_unchecked(b: &mut Builder) -> Self {
        Self {
            words: b.add_virtual_target_arr(),
        }
    }

    pub fn id(&self) -> Target {
        self.words[0]
    }

    pub fn kind(&self) -> Target {
        self.words[1]
    }

    pub fn asset(&self) -> Target {
        self.words[2]
    }

    pub fn max_price(&self) -> Target {
        self.words[3]
    }

    pub fn max_size(&self) -> Target {
        self.words[4]
    }

    pub fn max_open_interest(&self) -> Target {
        self.words[5]
    }

    /// Long, short.
    pub fn initial(&self) -> [Target; 2] {
        [self.words[6], self.words[7]]
    }

    pub fn maintenance(&self) -> [Target; 2] {
        [self.words[8], self.words[9]]
    }

    pub fn penalty(&self) -> Target {
        self.words[10]
    }

    pub fn fill_band(&self) -> Target {
        self.words[11]
    }

    pub fn price_band(&self) -> Target {
        self.words[12]
    }

    pub fn funding_cap(&self) -> Target {
        self.words[13]
    }

    /// Cost: 2 rows.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        hash::hash(b, Tag::RowParams, &self.words)
    }

    pub fn set(&self, witness: &mut PartialWitness<F>, params: &RowParams) -> anyhow::Result<()> {
        witness.set_target_arr(&self.words, &params.words())
    }
}

/// What kind an instrument is; neither is the quote asset's row.
#[derive(Clone, Copy, Debug)]
pub struct KindTarget {
    pub perpetual: BoolTarget,
    pub spot: BoolTarget,
}

impl KindTarget {
    pub fn of(b: &mut Builder, params: &ParamsTarget) -> Self {
        let mut is = |kind: InstrumentKind| {
            let number = b.constant(unsigned(kind as u64));
            logic::is_equal(b, params.kind(), number)
        };
        Self {
            perpetual: is(InstrumentKind::Perpetual),
            spot: is(InstrumentKind::Spot),
        }
    }
}

/// Twin of `Row`: parameters, their digest, and the words behind it.
#[derive(Clone, Copy, Debug)]
pub struct RowTarget {
    pub params: ParamsTarget,
    pub params_digest: HashOutTarget,
    pub words: [Target; STATE_WORDS],
}

macro_rules! words {
    ($($name:ident, $with:ident, $index:literal;)*) => {
        impl RowTarget {
            $(
                pub fn $name(&self) -> Target {
                    self.words[$index]
                }

                #[must_use]
                pub fn $with(mut self, value: Target) -> Self {
                    self.words[$index] = value;
                    self
                }
            )*
        }
    };
}

words! {
    status, with_status, 0;
    round, with_round, 1;
    time, with_time, 2;
    mark, with_mark, 3;
    index, with_index, 4;
    premium, with_premium, 5;
    long_carry, with_long_carry, 6;
    short_carry, with_short_carry, 7;
    open_long, with_open_long, 8;
    open_short, with_open_short, 9;
    insurance_size, with_insurance_size, 10;
    insurance_since, with_insurance_since, 11;
}

impl RowTarget {
    /// A row behind a digest that is in the table, so that its numbers have their widths [N1],
    /// [N2].
    pub fn new_unchecked(b: &mut Builder) -> Self {
        let params = ParamsTarget::new_unchecked(b);
        Self {
            params,
            params_digest: params.digest(b),
            words: b.add_virtual_target_arr(),
        }
    }

    /// Cost: 2 rows.
    pub fn digest(&self, b: &mut Builder) -> HashOutTarget {
        let words = [&self.params_digest.elements[..], &self.words].concat();
        hash::hash(b, Tag::Row, &words)
    }

    pub fn set(&self, witness: &mut PartialWitness<F>, row: &Row) -> anyhow::Result<()> {
        self.params.set(witness, &row.params)?;
        witness.set_target_arr(&self.words, &row.words()[4..])
    }
}
