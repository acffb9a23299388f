//! Oracle intake \[T1\]: reports come one by one, a round is made of the first k that agree.
//!
//! Who is a reporter is known, and each keeps only his last reports, so no one else and no faulty
//! one can push the others' out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use tally_protocol::message::{Domain, SignatureRequest};
use tally_protocol::oracle::{OracleError, Reporters, SignedReport, Stamp};
use tally_protocol::signature::SignedRequest;

use crate::service::held;

/// Reports of one reporter that are kept.
const KEPT: usize = 4;

#[derive(Debug)]
pub struct Collector {
    domain: Domain,
    reporters: Reporters,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    reports: BTreeMap<u32, VecDeque<SignedReport>>,
    /// The last round that was handed on.
    round: u32,
}

/// What a report has led to.
#[derive(Debug)]
pub enum Collected {
    /// So many reports agree by now.
    Waits(usize),
    /// The round is there.
    Complete(Vec<SignedReport>),
    /// Its round was handed on before.
    Late,
}

impl Collector {
    pub fn new(domain: Domain, reporters: Reporters) -> Self {
        Self {
            domain,
            reporters,
            kept: Mutex::default(),
        }
    }

    pub fn quorum(&self) -> usize {
        self.reporters.quorum()
    }

    /// Takes a report whose signature holds.
    pub fn add(&self, signed: SignedReport) -> Result<Collected, OracleError> {
        let reporter = signed.report.reporter;
        self.verify(&signed)?;
        let stamp = signed.report.stamp;
        let mut kept = held(&self.kept);
        if stamp.round <= kept.round {
            return Ok(Collected::Late);
        }
        let own = kept.reports.entry(reporter).or_default();
        own.retain(|earlier| earlier.report.stamp.round != stamp.round);
        own.push_back(signed);
        if own.len() > KEPT {
            own.pop_front();
        }
        let agree: Vec<&SignedReport> = kept.agreeing(&stamp).collect();
        if agree.len() < self.quorum() {
            return Ok(Collected::Waits(agree.len()));
        }
        let chosen = agree.into_iter().take(self.quorum()).cloned().collect();
        kept.round = stamp.round;
        kept.reports.values_mut().for_each(|own| {
            // What others say of the round counts again if this one is refused.
            own.retain(|signed| {
                let other = &signed.report.stamp;
                other.round > stamp.round || (other.round == stamp.round && *other != stamp)
            });
        });
        Ok(Collected::Complete(chosen))
    }

    /// The round was refused: its reporters may sign it again.
    pub fn refused(&self, round: u32) {
        let mut kept = held(&self.kept);
        if kept.round == round {
            kept.round = round.saturating_sub(1);
        }
    }

    fn verify(&self, signed: &SignedReport) -> Result<(), OracleError> {
        let reporter = signed.report.reporter;
        let keys = self.reporters.keys();
        let key = keys.get(reporter as usize).ok_or(OracleError::Unknown {
            reporter,
            reporters: keys.len(),
        })?;
        let request = SignatureRequest {
            key: *key,
            digest: signed.report.digest(&self.domain),
        };
        let signature = signed.signature;
        SignedRequest { request, signature }
            .verify()
            .map_err(|error| OracleError::Signature { reporter, error })
    }
}

impl Kept {
    fn agreeing(&self, stamp: &Stamp) -> impl Iterator<Item = &SignedReport> {
        let all = self.reports.values().flatten();
        all.filter(move |signed| signed.report.stamp == *stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::Deployment;
    use tally_api::development;
    use tally_protocol::oracle::{FeedPrices, Prices, Report};

    fn report(reporter: u32, key: u32, round: u32, mark: u64) -> SignedReport {
        let deployment = Deployment::development(1);
        let premium = 0;
        let index = mark;
        let prices = FeedPrices {
            index,
            mark,
            premium,
        };
        let prices = Prices::new([(1, prices)].into()).unwrap();
        let report = Report {
            reporter,
            stamp: Stamp {
                feed_set: 0,
                round,
                time: 100,
                previous: round - 1,
            },
            prices_root: prices.root(),
        };
        let digest = report.digest(&deployment.domain().unwrap());
        let signature = development::reporter(key).sign(digest);
        SignedReport {
            report,
            prices,
            signature,
        }
    }

    fn collector() -> Collector {
        let deployment = Deployment::development(1);
        let domain = deployment.domain().unwrap();
        Collector::new(domain, deployment.reporters().unwrap())
    }

    #[test]
    fn t1_a_round_is_the_first_k_that_agree() {
        let collector = collector();
        let add = |reporter, round| collector.add(report(reporter, reporter, round, 5)).unwrap();
        assert!(matches!(add(3, 1), Collected::Waits(1)));
        assert!(matches!(add(3, 1), Collected::Waits(1)));
        assert!(matches!(add(0, 2), Collected::Waits(1)));
        assert!(matches!(add(0, 1), Collected::Waits(2)));
        let Collected::Complete(round) = add(2, 1) else {
            panic!("three of four agree");
        };
        let who: Vec<u32> = round.iter().map(|it| it.report.reporter).collect();
        assert_eq!(who, [0, 2, 3]);
        assert!(matches!(add(1, 1), Collected::Late));
        collector.refused(1);
        assert!(matches!(add(1, 1), Collected::Waits(1)));
    }

    #[test]
    fn t1_a_stranger_and_a_forger_are_refused() {
        let collector = collector();
        let refused = |report| collector.add(report).unwrap_err().code();
        assert_eq!(refused(report(4, 0, 1, 5)), "T1.unknown_reporter");
        assert_eq!(refused(report(1, 0, 1, 5)), "T1.signature");
    }

    #[test]
    fn t1_a_faulty_reporter_pushes_out_his_own_reports_only() {
        let collector = collector();
        collector.add(report(0, 0, 1, 5)).unwrap();
        for round in 2..50 {
            collector.add(report(1, 1, round, 5)).unwrap();
        }
        collector.add(report(2, 2, 1, 5)).unwrap();
        let last = collector.add(report(3, 3, 1, 5)).unwrap();
        assert!(matches!(last, Collected::Complete(_)));
    }
}
