use plonky2::field::types::{Field, Field64};
use plonky2::hash::hash_types::HashOut;
use tally_protocol::account::Owner;
use tally_protocol::header::Globals;
use tally_protocol::message::Domain;

use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::summary::{Counts, SUMMARY_ELEMENTS, SummaryTarget};
use plonky2::field::extension::quadratic::QuadraticExtension;

fn digest(seed: u64) -> Digest {
    HashOut {
        elements: [0, 1, 2, 3].map(|i| F::from_canonical_u64(100 * seed + i)),
    }
}

const JOIN: u64 = 7;
const BATCH: u64 = 8;

/// An epoch's roots with its context.
#[derive(Clone)]
struct Case {
    main: Summary,
    data: Summary,
    context: Context,
}

impl Case {
    fn honest() -> Self {
        let context = Context {
            globals: Globals {
                domain: Domain {
                    chain_id: 31_337,
                    contract: Owner([9; 20]),
                    ..Default::default()
                },
                ..Default::default()
            },
            epoch: 12,
            round: 34,
            time: 56,
            header_before: digest(20),
            header_after: digest(21),
            table: digest(22),
            ..Default::default()
        };
        let mut main = Summary::idle(context.digest(), Challenge::default(), digest(JOIN));
        main.commitment = digest(30);
        main.bus = QuadraticExtension([F::TWO, F::ONE]);
        main.words = 1_000;
        main.counts = Counts {
            headers: 1,
            scans: 1,
            ..Counts::default()
        };
        main.accounts = Chain {
            before: digest(40),
            after: digest(41),
        };
        main.tick_table = Chain {
            before: digest(42),
            after: context.table,
        };
        main.close_table = Chain {
            before: context.table,
            after: digest(43),
        };
        let mut data = main.clone();
        data.bus = -main.bus;
        data.words = 99;
        data.commitment = digest(31);
        data.counts = Counts {
            data_queue: 1,
            data_accounts: 2,
            data_rows: 3,
            ..Counts::default()
        };
        for chain in [
            &mut data.accounts,
            &mut data.tick_table,
            &mut data.close_table,
        ] {
            *chain = Chain::unchanged(chain.after);
        }
        let point = QuadraticExtension([F::from_canonical_u64(5), F::TWO]);
        data.data = DataPolynomial::evaluate(&[F::TWO, F::ONE], point);
        Self {
            main,
            data,
            context,
        }
        .rechallenged()
    }

    /// Again with the challenge of what it now commits to.
    fn rechallenged(mut self) -> Self {
        let (main, data) = (self.main.commitment, self.data.commitment);
        let challenge = Challenge::derive(main, data, self.main.context);
        self.main.challenge = challenge;
        self.data.challenge = challenge;
        self
    }

    fn native(&self) -> Result<Span, EpochError> {
        Span::of_epoch(
            &self.main,
            &self.data,
            &self.context,
            digest(JOIN),
            digest(BATCH),
        )
    }
}

struct Roots {
    main: SummaryTarget,
    data: SummaryTarget,
    targets: EpochTargets,
}

impl Roots {
    fn build(builder: &mut Builder) -> Self {
        let mut summary =
            || SummaryTarget::from_targets(&builder.add_virtual_targets(SUMMARY_ELEMENTS));
        let (main, data) = (summary(), summary());
        let (left, right) = (main.clone(), data.clone());
        let targets = EpochTargets::constrain(builder, left, right, digest(JOIN));
        targets.span.register(builder);
        Self {
            main,
            data,
            targets,
        }
    }

    fn witness(&self, case: &Case) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        self.main.assign(&mut witness, &case.main).unwrap();
        self.data.assign(&mut witness, &case.data).unwrap();
        self.targets
            .assign(&mut witness, &case.context, digest(BATCH))
            .unwrap();
        witness
    }
}

#[test]
fn agrees_with_the_native_span() {
    let mut builder = Builder::new();
    let statement = Roots::build(&mut builder);
    let case = Case::honest();
    let span = case.native().unwrap();
    let checker = Checker::new(builder);
    let accepted = checker.check(&statement.witness(&case)).unwrap();
    assert_eq!(Span::from_elements(accepted.public_inputs()).unwrap(), span);
    assert_eq!((span.first_epoch, span.last_epoch), (12, 12));
    assert_eq!(span.sections, [1, 0, 2, 3]);
    assert_eq!(span.data, case.data.data);
}

/// Name, code, and what a lying prover changes. Each lie leaves everything else consistent.
type Lie = (&'static str, &'static str, fn(Case) -> Case);

const LIES: &[Lie] = &[
    ("a join of its own", "P5.join_key", |mut c| {
        c.main.join_key = digest(1);
        c.data.join_key = digest(1);
        c
    }),
    ("data hidden in the main tree", "P6.main_data", |mut c| {
        c.main.data = DataPolynomial::evaluate(&[F::ONE], Ext::ZERO);
        c
    }),
    ("two contexts", "P5.differs", |mut c| {
        c.data.context = digest(1);
        c
    }),
    ("two alphas", "P5.differs", |mut c| {
        c.data.challenge.alpha += Ext::ONE;
        c
    }),
    ("two betas", "P5.differs", |mut c| {
        c.data.challenge.beta += Ext::ONE;
        c
    }),
    ("another join under the data", "P5.differs", |mut c| {
        c.data.join_key = digest(1);
        c
    }),
    (
        "a ledger segment hidden in the data tree",
        "P5.unchained",
        |mut c| {
            c.data.accounts = Chain {
                before: digest(1),
                after: c.data.accounts.after,
            };
            c
        },
    ),
    (
        "a handoff that starts in the data tree",
        "P5.unchained",
        |mut c| {
            c.data.handoff.before = digest(1);
            c
        },
    ),
    ("a tick hidden in the data tree", "P5.unchained", |mut c| {
        c.data.tick_table.before = digest(1);
        c
    }),
    (
        "a close hidden in the data tree",
        "P5.unchained",
        |mut c| {
            c.data.close_table.before = digest(1);
            c
        },
    ),
    ("another context than opened", "P2.context", |mut c| {
        c.context.time += 1;
        let (main, data) = (c.main.commitment, c.data.commitment);
        c.main.challenge = Challenge::derive(main, data, c.context.digest());
        c.data.challenge = c.main.challenge;
        c
    }),
    ("an alpha of one's choice", "P2.challenge", |mut c| {
        c.main.challenge.alpha += Ext::ONE;
        c.data.challenge.alpha = c.main.challenge.alpha;
        c
    }),
    ("a beta of one's choice", "P2.challenge", |mut c| {
        c.main.challenge.beta += Ext::ONE;
        c.data.challenge.beta = c.main.challenge.beta;
        c
    }),
    ("a posting dropped from one side", "P3.bus", |mut c| {
        c.main.bus += Ext::ONE;
        c
    }),
    ("more words than are sound", "P1.words", |mut c| {
        c.main.words = MAX_EPOCH_WORDS - c.data.words;
        c
    }),
    ("a negative number of words", "P1.overflow", |mut c| {
        c.main.words = F::ORDER - 200;
        c
    }),
    ("no header", "P5.once", |mut c| {
        c.main.counts.headers = 0;
        c
    }),
    ("two scans", "P5.once", |mut c| {
        c.data.counts.scans = 1;
        c
    }),
    (
        "an account handed in from before the epoch",
        "L1.handoff",
        |mut c| {
            c.main.handoff.before = digest(1);
            c
        },
    ),
    ("an account left open", "L1.handoff", |mut c| {
        c.main.handoff.after = digest(1);
        c.data.handoff = Chain::unchanged(digest(1));
        c
    }),
    ("a tick that ends elsewhere", "T8.table", |mut c| {
        c.main.tick_table.after = digest(1);
        c.data.tick_table = Chain::unchanged(digest(1));
        c
    }),
    ("a close that starts elsewhere", "T8.table", |mut c| {
        c.main.close_table.before = digest(1);
        c
    }),
];

#[test]
fn p2_to_p6_lies_about_an_epoch_are_refused_natively() {
    for (name, code, lie) in LIES {
        assert_eq!(
            lie(Case::honest()).native().unwrap_err().code(),
            *code,
            "{name}"
        );
    }
}

/// The same lies against the constraints, and none of the constraints is idle.
#[test]
fn p2_to_p6_each_assertion_stops_a_lie() {
    assert_each_assertion_needed(Roots::build, |statement| {
        LIES.iter()
            .map(|(name, _, lie)| Attack::new(name, statement.witness(&lie(Case::honest())), &[]))
            .collect()
    });
}
