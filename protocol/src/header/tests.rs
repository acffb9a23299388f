use super::*;

fn header() -> Header {
    let globals = Globals {
        fill_pause: 3,
        feed_set: 2,
        ..Globals::default()
    };
    Header {
        epoch: 10,
        round: 40,
        ..Header::genesis(globals, Digest::default(), 1_000)
    }
}

fn stamp(previous: u32, round: u32, time: u64) -> Stamp {
    Stamp {
        feed_set: 2,
        round,
        time,
        previous,
    }
}

#[test]
fn t2_the_next_round_follows_and_time_rises() {
    let next = header().advance(&stamp(40, 41, 1_001)).unwrap();
    assert_eq!(
        (next.header.epoch, next.header.round, next.header.time),
        (11, 41, 1_001)
    );
    assert!(next.entries_allowed && next.fills_allowed);
    // Numbers of rounds that never completed may be left out: the reporters say which came before.
    assert!(
        header()
            .advance(&stamp(40, 45, 1_001))
            .unwrap()
            .fills_allowed
    );
    let refused = |stamp| header().advance(&stamp).unwrap_err().code();
    assert_eq!(refused(stamp(39, 41, 1_001)), "T2.round");
    assert_eq!(refused(stamp(39, 40, 1_001)), "T2.round");
    assert_eq!(refused(stamp(40, 40, 1_001)), "T2.round");
    assert_eq!(refused(stamp(40, 41, 1_000)), "T2.time");
    assert_eq!(
        refused(Stamp {
            feed_set: 1,
            ..stamp(40, 41, 1_001)
        }),
        "T1.feed_set"
    );
    let last = Header {
        epoch: u32::MAX,
        ..header()
    };
    assert_eq!(
        last.advance(&stamp(40, 41, 1_001)).unwrap_err().code(),
        "T2.last_epoch"
    );
}

#[test]
fn t2_after_a_skip_there_are_no_fills_for_n_epochs() {
    let mut advance = header().advance(&stamp(44, 45, 1_100)).unwrap();
    assert!(!advance.entries_allowed && !advance.fills_allowed);
    for later in 1..=4u32 {
        let round = advance.header.round;
        let next = stamp(round, round + 1, advance.header.time + 1);
        advance = advance.header.advance(&next).unwrap();
        assert!(advance.entries_allowed);
        assert_eq!(
            advance.fills_allowed,
            later > 3,
            "epoch {later} after the skip"
        );
    }
}

#[test]
fn s1_every_member_is_in_the_digest() {
    let base = header();
    let changes: [fn(&mut Header); 9] = [
        |h| h.epoch += 1,
        |h| h.round += 1,
        |h| h.time += 1,
        |h| h.reporters.elements[3] = unsigned(1),
        |h| h.deficit = 1,
        |h| h.globals.timelock = 1,
        |h| h.fills_from = 1,
        |h| h.pending[31].effective = 1,
        |h| h.pending[31].digest.elements[3] = unsigned(1),
    ];
    for change in changes {
        let mut changed = base;
        change(&mut changed);
        assert_ne!(changed.digest(), base.digest());
    }
    let part = |n: u64| Digest {
        elements: [n, 0, 0, 0].map(unsigned),
    };
    let root = state_root(part(1), part(2), part(3));
    assert_ne!(root, state_root(part(2), part(1), part(3)));
    assert_ne!(root, state_root(part(1), part(3), part(2)));
}

#[test]
fn s1_the_context_holds_every_member_once() {
    let digest = |n: u64| Digest {
        elements: [n; 4].map(unsigned),
    };
    let mut owner = Owner::default();
    owner.0[19] = 19;
    let context = Context {
        epoch: 21,
        round: 22,
        time: 23,
        entries_allowed: true,
        fills_allowed: true,
        deficit: 26,
        vault: 27,
        recovery: 28,
        losses: 29,
        unwind_budget: 34,
        header_before: digest(30),
        header_after: digest(31),
        table: digest(32),
        reports: digest(33),
        globals: Globals {
            feed_set: 20,
            fee_owner: owner,
            ..Globals::default()
        },
    };
    let words = context.words();
    let expected = [20, 0, 0, 19, 21, 22, 23, 1, 1, 26, 27, 28, 29, 34].map(unsigned);
    assert_eq!(words[GLOBALS_WORDS - 4..GLOBALS_WORDS + 10], expected);
    assert_eq!(words[CONTEXT_WORDS - 1], unsigned(33));
}
