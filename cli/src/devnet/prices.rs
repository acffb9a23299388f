//! The market that the reporters agree on: a seeded walk with a fall in every cycle, which the bots
//! with the most leverage do not survive.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tally_protocol::bounds::{
    LISTING_HEADROOM, NOTIONAL_BITS, OPEN_INTEREST_NOTIONAL_BITS, SIZE_BITS,
};
use tally_protocol::instrument::{InstrumentKind, RowParams};
use tally_protocol::listing::Change;
use tally_protocol::oracle::FeedPrices;
use tally_protocol::types::InstrumentId;

/// Micro-quote per lot at listing.
const STARTS: [u64; 4] = [20_000_000, 35_000_000, 60_000_000, 12_000_000];
const MILLION: u64 = 1_000_000;
/// Rounds of a cycle: it falls in the rounds of `FALL`, and rises in those of `RISE`.
const CYCLE: u32 = 24;
const FALL: core::ops::RangeInclusive<u32> = 6..=8;
const RISE: core::ops::RangeInclusive<u32> = 14..=16;
/// Parts per million of a round.
const STEEP: i64 = 18_000;
const CALM: i64 = 1_000;

/// What is listed: twenty-fold leverage, bands so wide that the walk is never clamped.
pub fn listings(instruments: u32) -> Vec<Change> {
    let rows = (1..=instruments).zip(STARTS);
    rows.map(|(row, price)| {
        let max_price = price * LISTING_HEADROOM;
        let most = |bits: u32| (((1u64 << bits) - 1) / max_price).min((1 << SIZE_BITS) - 1);
        let params = RowParams {
            id: InstrumentId(row),
            kind: InstrumentKind::Perpetual,
            asset: 0,
            max_price,
            max_size: most(NOTIONAL_BITS),
            max_open_interest: most(OPEN_INTEREST_NOTIONAL_BITS),
            initial_long: 50_000,
            initial_short: 50_000,
            maintenance_long: 25_000,
            maintenance_short: 25_000,
            penalty: 10_000,
            fill_band: 20_000,
            price_band: 50_000,
            funding_cap: 2,
        };
        Change { params, price }
    })
    .collect()
}

/// Marks by instrument, and how far the walk is.
#[derive(Debug)]
pub struct Walk {
    rng: ChaCha8Rng,
    round: u32,
    marks: Vec<u64>,
}

impl Walk {
    pub fn new(seed: u64, instruments: u32) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            round: 0,
            marks: STARTS[..instruments as usize].to_vec(),
        }
    }

    /// The marks of a round, which depend on seed and round alone. Rounds only rise.
    pub fn at(&mut self, round: u32) -> BTreeMap<u32, FeedPrices> {
        while self.round < round {
            self.round += 1;
            let drift = match self.round % CYCLE {
                fall if FALL.contains(&fall) => -STEEP,
                rise if RISE.contains(&rise) => STEEP,
                _ => 0,
            };
            for (mark, start) in self.marks.iter_mut().zip(STARTS) {
                let step = drift + self.rng.gen_range(-CALM..=CALM);
                let parts = MILLION.saturating_add_signed(step);
                // Within the headroom that a listing has, for ever.
                *mark = (*mark * parts / MILLION).clamp(start / 16, start * 8);
            }
        }
        let feeds = (1..).zip(&self.marks);
        feeds.map(|(row, mark)| (row, prices(*mark))).collect()
    }
}

fn prices(mark: u64) -> FeedPrices {
    FeedPrices {
        index: mark,
        mark,
        premium: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_depends_on_seed_and_round_alone() {
        let mut steady = Walk::new(7, 2);
        let all: Vec<_> = (1..=40).map(|round| steady.at(round)).collect();
        assert_eq!(Walk::new(7, 2).at(40), all[39]);
        assert_ne!(Walk::new(8, 2).at(40), all[39]);
        let fall = all[7][&1].mark * 100 / all[4][&1].mark;
        assert!((93..=96).contains(&fall), "{fall} %");
    }

    #[test]
    fn n1_listings_keep_the_rules() {
        for change in listings(4) {
            let listed = tally_protocol::listing::apply(None, &change, 1, 1);
            assert_eq!(listed.unwrap().mark, change.price);
        }
    }
}
