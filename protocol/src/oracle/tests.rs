use proptest::prelude::*;

use super::*;
use crate::hash::F;
use crate::tree::verify;

fn key(reporter: u64) -> PublicKey {
    [0, 1, 2, 3, 4].map(|limb| unsigned(reporter * 10 + limb + 1))
}

fn reporters() -> Reporters {
    Reporters::new((0..4).map(key).collect(), 1).unwrap()
}

const STAMP: Stamp = Stamp {
    feed_set: 0,
    round: 8,
    time: 1_000,
    previous: 7,
};

fn prices(feeds: &[(u32, u64)]) -> Prices {
    let of = |mark| FeedPrices {
        index: mark + 1,
        mark,
        premium: -(mark as i64),
    };
    Prices::new(
        feeds
            .iter()
            .map(|(feed, mark)| (*feed, of(*mark)))
            .collect(),
    )
    .unwrap()
}

fn report(reporter: u32, feeds: &[(u32, u64)]) -> (Report, Prices) {
    let prices = prices(feeds);
    (
        Report {
            reporter,
            stamp: STAMP,
            prices_root: prices.root(),
        },
        prices,
    )
}

fn refused(reports: Vec<(Report, Prices)>) -> &'static str {
    Round::new(&reporters(), reports).unwrap_err().code()
}

#[test]
fn t1_the_quorum_is_above_two_thirds() {
    for (n, f, good) in [
        (4, 1, true),
        (4, 0, false),
        (5, 1, false),
        (3, 1, true),
        (2, 1, false),
        (15, 5, true),
    ] {
        let keys: Vec<PublicKey> = (0..n).map(key).collect();
        assert_eq!(Reporters::new(keys, f).is_ok(), good, "n = {n}, f = {f}");
    }
    let error = Reporters::new((0..16).map(key).collect(), 6).unwrap_err();
    assert_eq!(error.code(), "T1.quorum");
}

#[test]
fn t1_a_round_takes_exactly_k_reports_of_distinct_reporters() {
    let feeds = [(1, 100)];
    let of = |ids: &[u32]| ids.iter().map(|id| report(*id, &feeds)).collect::<Vec<_>>();
    assert!(Round::new(&reporters(), of(&[3, 0, 2])).is_ok());
    assert_eq!(refused(of(&[0, 1])), "T1.count");
    assert_eq!(refused(of(&[0, 1, 2, 3])), "T1.count");
    assert_eq!(refused(of(&[0, 1, 1])), "T1.reporter_twice");
    assert_eq!(refused(of(&[0, 1, 4])), "T1.unknown_reporter");
}

#[test]
fn t1_reports_of_different_rounds_do_not_mix() {
    let changes: [fn(&mut Stamp); 4] = [
        |s| s.round = 9,
        |s| s.time += 1,
        |s| s.previous = 6,
        |s| s.feed_set = 1,
    ];
    for change in changes {
        let mut reports: Vec<_> = (0..3).map(|id| report(id, &[(1, 100)])).collect();
        change(&mut reports[2].0.stamp);
        assert_eq!(refused(reports), "T1.stamp");
    }
    let mut reports: Vec<_> = (0..3).map(|id| report(id, &[(1, 100)])).collect();
    for (report, _) in &mut reports {
        report.stamp.previous = report.stamp.round;
    }
    assert_eq!(refused(reports.clone()), "T1.order");
    for (report, _) in &mut reports {
        (report.stamp.previous, report.stamp.time) = (7, 1 << 40);
    }
    assert_eq!(refused(reports), "T1.order");
}

#[test]
fn t1_prices_must_be_those_signed_and_in_range() {
    let mut reports: Vec<_> = (0..3).map(|id| report(id, &[(1, 100)])).collect();
    reports[1].1 = prices(&[(1, 101)]);
    assert_eq!(refused(reports), "T1.prices_root");
    let good = FeedPrices {
        index: 1,
        mark: 1,
        premium: 0,
    };
    let bad = [
        FeedPrices { mark: 0, ..good },
        FeedPrices { index: 0, ..good },
        FeedPrices {
            mark: 1 << 42,
            ..good
        },
        FeedPrices {
            premium: -(1 << 48),
            ..good
        },
    ];
    for prices in bad {
        let error = Prices::new([(1, prices)].into()).unwrap_err();
        assert_eq!(error.code(), "T1.price_range");
    }
    assert_eq!(
        Prices::new([(1024, good)].into()).unwrap_err().code(),
        "T1.feed"
    );
}

#[test]
fn t1_a_price_absent_from_any_report_is_missing() {
    let both = [(1, 100), (2, 50)];
    let round = Round::new(
        &reporters(),
        vec![report(0, &both), report(1, &[(1, 110)]), report(2, &both)],
    )
    .unwrap();
    assert_eq!(round.median(1).unwrap().mark, 100);
    assert_eq!(round.median(2), None);
    // Absence is shown by the empty leaf under the signed root.
    let (signed, seen) = &round.reports()[1];
    assert!(verify(signed.prices_root, 2, EMPTY, &seen.path(2)));
    assert!(verify(
        signed.prices_root,
        1,
        seen.get(1).unwrap().digest(),
        &seen.path(1)
    ));
}

#[test]
fn t1_one_liar_moves_the_median_no_further_than_an_honest_price() {
    for lie in [1, 1 << 41] {
        let reports = vec![
            report(0, &[(1, 100)]),
            report(1, &[(1, 102)]),
            report(2, &[(1, lie)]),
        ];
        let mark = Round::new(&reporters(), reports)
            .unwrap()
            .median(1)
            .unwrap()
            .mark;
        assert!((100..=102).contains(&mark));
    }
}

#[test]
fn t1_s5_every_member_of_a_report_is_signed() {
    let domain = Domain {
        chain_id: 5,
        ..Domain::default()
    };
    let (base, _) = report(2, &[(1, 100)]);
    let digest = base.digest(&domain);
    let changes: [fn(&mut Report); 6] = [
        |r| r.reporter = 1,
        |r| r.stamp.round = 9,
        |r| r.stamp.time += 1,
        |r| r.stamp.previous = 6,
        |r| r.stamp.feed_set = 1,
        |r| r.prices_root = EMPTY,
    ];
    for change in changes {
        let mut changed = base.clone();
        change(&mut changed);
        assert_ne!(changed.digest(&domain), digest);
    }
    assert_ne!(
        base.digest(&Domain {
            chain_id: 6,
            ..domain
        }),
        digest
    );
    let round = Round::new(
        &reporters(),
        (0..3).map(|id| report(id, &[(1, 9)])).collect(),
    )
    .unwrap();
    let requests = round.signature_requests(&domain, &reporters()).unwrap();
    let keys: Vec<PublicKey> = requests.iter().map(|request| request.key).collect();
    assert_eq!(keys, (0..3).map(key).collect::<Vec<_>>());
    assert_eq!(requests[1].digest, round.reports()[1].0.digest(&domain));
}

#[test]
fn t1_the_digest_of_the_reporters_holds_the_quorum() {
    let three = Reporters::new((0..3).map(key).collect(), 1).unwrap();
    let all = Reporters {
        keys: three.keys.clone(),
        faults: 0,
    };
    assert_ne!(three.digest(), all.digest());
    assert_ne!(reporters().digest(), three.digest());
    assert_eq!(three.words()[2..7], key(0));
    assert_eq!(three.words()[17..], [F::default(); 60]);
}

proptest! {
    #[test]
    fn t1_the_median_is_the_only_number_with_its_property(
        values in prop::collection::vec(-20i64..20, 1..15)
    ) {
        let odd = if values.len() % 2 == 0 { &values[1..] } else { &values[..] };
        let middle = median(odd.iter().copied()).unwrap();
        prop_assert!(odd.contains(&middle));
        for candidate in -21..21 {
            prop_assert_eq!(is_median(odd, &candidate), candidate == middle);
        }
    }
}
