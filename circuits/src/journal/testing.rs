//! What the tests of all journal segments share: a context, a market, and a comparison of a
//! segment's bus with the native effects.

use plonky2::field::types::Field;
use plonky2::iop::witness::PartialWitness;
use tally_protocol::header::{Context, Globals};
use tally_protocol::instrument::{InstrumentKind, MarketRow};
use tally_protocol::message::Domain;
use tally_protocol::types::InstrumentId;

use crate::bus::{BusTag, Traffic};
use crate::checker::Accepted;
use crate::segment::{PassingChains, Segment};
use crate::summary::Challenge;
use crate::{Ext, F};

// An id names its row: id mod 2^10 (docs/decisions.md, D12).
pub const PERPETUAL: InstrumentId = InstrumentId(1024 + 37);
pub const SPOT: InstrumentId = InstrumentId(3);

pub fn context() -> Context {
    Context {
        globals: Globals {
            domain: Domain {
                chain_id: 7,
                contract: tally_protocol::account::Owner([3; 20]),
            },
            flag_lifetime: 256,
            auction_epochs: 16,
            ..Globals::default()
        },
        epoch: 100,
        round: 100,
        time: 1_760_000_000,
        entries_allowed: true,
        fills_allowed: true,
        vault: 1 << 50,
        ..Context::default()
    }
}

pub fn perpetual() -> MarketRow {
    MarketRow {
        id: PERPETUAL,
        kind: InstrumentKind::Perpetual,
        asset: 0,
        row: 37,
        mark: 50_000_000,
        index: 50_010_000,
        min_fill: 49_000_000,
        max_fill: 51_000_000,
        penalty: 900_000,
        max_size: 1 << 22,
        insurance_since: 80,
        flags: 0,
    }
}

pub fn spot() -> MarketRow {
    MarketRow {
        id: SPOT,
        kind: InstrumentKind::Spot,
        asset: 3,
        row: 3,
        ..perpetual()
    }
}

pub fn challenge() -> Challenge {
    let ext = |a: u64, b: u64| {
        use plonky2::field::extension::FieldExtension;
        Ext::from_basefield_array([F::from_canonical_u64(a), F::from_canonical_u64(b)])
    };
    Challenge {
        alpha: ext(0x1234_5678_9abc, 77),
        beta: ext(0xfeed_beef, 0x1357_9bdf),
    }
}

/// Context, place among the segments and challenge.
pub fn epoch_witness(segment: &Segment, context: &Context) -> PartialWitness<F> {
    let mut witness = PartialWitness::new();
    segment.set_context(&mut witness, context, 0).unwrap();
    segment
        .set_challenge(&mut witness, challenge(), Default::default())
        .unwrap();
    segment
        .set_passing(&mut witness, &PassingChains::default())
        .unwrap();
    witness
}

/// The segment's bus is exactly what is expected of it: tuples with what each adds up to.
pub fn assert_bus(
    segment: &Segment,
    accepted: &Accepted<'_>,
    expected: impl IntoIterator<Item = (BusTag, Vec<F>, i128)>,
) {
    let mut traffic = Traffic::default();
    traffic.add(&segment.entries, |target| accepted.get(target));
    let sum = traffic.sum(challenge()).unwrap();
    for (tag, words, multiplicity) in expected {
        traffic.add_tuple(tag, &words, -multiplicity);
    }
    assert_eq!(traffic.unmatched(), []);
    let summary = segment.summary(|target| accepted.get(target));
    assert_eq!(summary.bus, sum);
}
