//! The oracle's reporters: each sees the price a little differently, and k of n make a round
//! \[T1\].

use std::collections::BTreeMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tally_protocol::message::Domain;
use tally_protocol::oracle::{
    FeedPrices, OracleError, Prices, Report, Reporters, Round, SignedReport, Stamp,
};
use tally_protocol::signature::SecretKey;

use crate::market::wallet::simulated_key;

const REPORTERS: usize = 4;
const FAULTS: usize = 1;
/// How far a reporter's view is from the market's at most, 10^-6 of the price.
const DISAGREEMENT: i64 = 100;
/// One in so many prices is missing from a report once the market is open: its row halts \[T6\].
const ABSENT: u32 = 20_000;
/// How fast the premium runs at most, 10^-6 of the mark per hour.
const PREMIUM_PER_HOUR: i64 = 100;

#[derive(Debug)]
pub struct Panel {
    pub set: Reporters,
    domain: Domain,
    keys: Vec<SecretKey>,
    rng: ChaCha8Rng,
    /// Cumulative premium by feed, micro-quote per lot.
    premiums: BTreeMap<u32, i64>,
    time: u64,
    /// From the market's first epoch on, reporters may lack a price.
    pub is_open: bool,
}

impl Panel {
    pub fn new(mut rng: ChaCha8Rng, domain: Domain) -> Result<Self, OracleError> {
        let keys: Vec<SecretKey> = (0..REPORTERS).map(|_| simulated_key(&mut rng)).collect();
        let set = Reporters::new(keys.iter().map(SecretKey::public).collect(), FAULTS)?;
        Ok(Self {
            set,
            domain,
            keys,
            rng,
            premiums: BTreeMap::new(),
            time: 0,
            is_open: false,
        })
    }

    /// The reports of a round in which the market's prices per lot are `prices`, by feed. One
    /// reporter, another one each round, is too late.
    pub fn round(
        &mut self,
        stamp: Stamp,
        prices: &BTreeMap<u32, u64>,
    ) -> Result<Round, OracleError> {
        let elapsed = match self.time {
            0 => 0,
            last => i64::try_from(stamp.time.saturating_sub(last)).unwrap_or(i64::MAX),
        };
        self.time = stamp.time;
        for (feed, price) in prices {
            let most = *price as i64 / 1_000_000 * PREMIUM_PER_HOUR / 3_600 * elapsed.min(3_600);
            let step = self.rng.gen_range(-most..=most);
            *self.premiums.entry(*feed).or_default() += step;
        }
        let late = stamp.round as usize % REPORTERS;
        let mut reports = Vec::new();
        for reporter in (0..REPORTERS).filter(|reporter| *reporter != late) {
            let seen = Prices::new(self.view(prices))?;
            let report = Report {
                reporter: reporter as u32,
                stamp,
                prices_root: seen.root(),
            };
            reports.push(SignedReport {
                signature: self.keys[reporter].sign(report.digest(&self.domain)),
                report,
                prices: seen,
            });
        }
        Round::signed(&self.set, &self.domain, reports)
    }

    fn view(&mut self, prices: &BTreeMap<u32, u64>) -> BTreeMap<u32, FeedPrices> {
        let mut seen = BTreeMap::new();
        for (feed, price) in prices {
            let premium = self.premiums.get(feed).copied().unwrap_or_default();
            let (index, mark) = (self.near(*price), self.near(*price));
            if !(self.is_open && self.rng.gen_ratio(1, ABSENT)) {
                seen.insert(
                    *feed,
                    FeedPrices {
                        index,
                        mark,
                        premium,
                    },
                );
            }
        }
        seen
    }

    fn near(&mut self, price: u64) -> u64 {
        let step = self.rng.gen_range(-DISAGREEMENT..=DISAGREEMENT);
        (price as i64 + price as i64 * step / 1_000_000).max(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn t1_medians_stay_near_the_market() {
        let rng = ChaCha8Rng::seed_from_u64(5);
        let mut panel = Panel::new(rng, Domain::default()).unwrap();
        let prices = BTreeMap::from([(1, 50_000_000), (7, 12_345_678)]);
        for number in 1..9 {
            let stamp = Stamp {
                feed_set: 0,
                round: number,
                time: 1_000 + u64::from(number) * 900,
                previous: number - 1,
            };
            let round = panel.round(stamp, &prices).unwrap();
            assert_eq!(round.reports().len(), 2 * FAULTS + 1);
            for (feed, price) in &prices {
                let median = round.median(*feed).unwrap();
                assert!(median.mark.abs_diff(*price) <= price / 10_000);
                assert!(median.index.abs_diff(*price) <= price / 10_000);
            }
        }
    }
}
