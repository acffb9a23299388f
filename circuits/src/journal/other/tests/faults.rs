//! Items that end refused for a fault of their own: every fault that the native rules find is
//! proven as they name it, nothing faultless is refused, and nobody chooses the fault [J4].

use proptest::sample::select;
use tally_protocol::journal::FIRST_SUB_ACCOUNT;
use tally_protocol::journal::refusal::{Fault, fault};
use tally_protocol::queue::Reason;

use super::*;

const USER: AccountId = AccountId(2022);
/// A listed row's former or later instrument, one that was never listed, and one of row 0.
const RENAMED: InstrumentId = InstrumentId(SPOT.0 + 1024);
const NOWHERE: InstrumentId = InstrumentId(700);
const QUOTE_ROW: InstrumentId = InstrumentId(5 * 1024);

fn given(account: u32, instrument: InstrumentId, amount: u64, new: bool) -> Request {
    Request::Deposit(Deposit {
        sender: OWNER,
        account: AccountId(account),
        instrument,
        amount,
        create: new.then(NewAccount::default),
    })
}

fn asked(account: u32, instrument: InstrumentId, amount: u64) -> Request {
    Request::Withdraw {
        sender: OWNER,
        account: AccountId(account),
        instrument,
        amount,
    }
}

fn take(bend: impl FnOnce(&mut Take)) -> Request {
    let mut take = Take {
        sender: OWNER,
        account: AccountId(2020),
        taker: AccountId(2021),
        instrument: PERPETUAL,
        side: Side::Long,
        size: 12,
        limit: perpetual().mark,
    };
    bend(&mut take);
    Request::Take(take)
}

fn refused(request: &Request, fault: Fault) -> Entry {
    let service = Service::Refused(Reason::Terms(fault));
    item(request.clone(), service, 3)
}

/// Flags of the rows, and whether the bridge holds anything.
type Bend = fn(&mut World);

fn bend(world: &mut World, id: InstrumentId, change: fn(&mut MarketRow)) {
    change(world.rows.get_mut(&id).unwrap());
}

fn cases() -> Vec<(Fault, Request, Bend)> {
    const NO_BEND: Bend = |_| {};
    const REDUCES: Bend = |w| bend(w, SPOT, |row| row.flags = flags::REDUCE_ONLY);
    const HALTS: Bend = |w| bend(w, PERPETUAL, |row| row.flags = flags::HALTED);
    const SETTLES: Bend = |w| bend(w, PERPETUAL, |row| row.flags = flags::SETTLED);
    const EMPTY: Bend = |w| w.context.vault = 0;
    let outside = AccountId(1 << 28);
    let (sender, account) = (OWNER, AccountId(1023));
    let keys = Keys::default();
    let unbent = [
        (Fault::System, Request::Flag { account }),
        (Fault::System, Request::CancelAll { sender, account }),
        (
            Fault::System,
            Request::KeyChange {
                sender,
                account,
                keys,
            },
        ),
        (Fault::System, given(64, NOWHERE, 0, true)),
        (Fault::System, take(|t| t.taker = AccountId(5))),
        (Fault::Outside, Request::Absorb { account: outside }),
        (Fault::Outside, take(|t| t.account = AccountId(u32::MAX))),
        (Fault::Outside, take(|t| t.taker = outside)),
        (Fault::Outside, given(FIRST_SUB_ACCOUNT, CASH, 9, true)),
        (Fault::Amount, given(2000, CASH, 0, false)),
        (Fault::Amount, given(2000, NOWHERE, 1 << 56, false)),
        (Fault::Amount, asked(2000, PERPETUAL, (1 << 63) - 1)),
        (Fault::Amount, given(2000, SPOT, (1 << 22) + 1, true)),
        (Fault::Amount, take(|t| t.size = 0)),
        (Fault::Amount, take(|t| t.size = (1 << 22) + 1)),
        (Fault::Amount, take(|t| t.size = 1 << 62)),
        (Fault::Unlisted, given(2000, RENAMED, 1, false)),
        (Fault::Unlisted, asked(2000, NOWHERE, 1)),
        (Fault::Unlisted, asked(2000, QUOTE_ROW, 1)),
        (Fault::Unlisted, take(|t| t.instrument = CASH)),
        (
            Fault::Unlisted,
            take(|t| (t.instrument, t.size) = (NOWHERE, 0)),
        ),
        (Fault::NotAnAsset, given(2000, PERPETUAL, 1, true)),
        (Fault::NotAnAsset, asked(2000, PERPETUAL, 1 << 55)),
        (Fault::Limit, take(|t| t.limit -= 1)),
        (
            Fault::Limit,
            take(|t| (t.side, t.limit) = (Side::Short, t.limit + 1)),
        ),
        (
            Fault::Limit,
            take(|t| (t.side, t.limit) = (Side::Short, (1 << 63) - 1)),
        ),
        (Fault::SelfTrade, take(|t| t.taker = t.account)),
    ];
    let bent: [(Fault, Request, Bend); 5] = [
        (Fault::ReduceOnly, given(2000, SPOT, 1, false), REDUCES),
        (Fault::Halted, take(|t| t.limit = 0), HALTS),
        (Fault::Halted, take(|_| {}), SETTLES),
        (Fault::Bridge, asked(2000, CASH, 1), EMPTY),
        (Fault::Amount, asked(2000, CASH, 1 << 56), EMPTY),
    ];
    let unbent = unbent
        .into_iter()
        .map(|(fault, request)| (fault, request, NO_BEND));
    unbent.chain(bent).collect()
}

pub fn worlds() -> Vec<World> {
    let world = |(fault, request, bend): (Fault, Request, Bend)| {
        let mut world = World::new(vec![refused(&request, fault)]);
        bend(&mut world);
        world
    };
    cases().into_iter().map(world).collect()
}

const FAULTS: [Fault; 10] = [
    Fault::System,
    Fault::Outside,
    Fault::Amount,
    Fault::Unlisted,
    Fault::NotAnAsset,
    Fault::ReduceOnly,
    Fault::Halted,
    Fault::Limit,
    Fault::SelfTrade,
    Fault::Bridge,
];

#[test]
fn j4_each_fault_is_proven_as_the_native_rules_name_it() {
    for (fault, request, bend) in cases() {
        let mut world = World::new(vec![refused(&request, fault)]);
        bend(&mut world);
        assert_eq!(world.native().err(), None, "{fault:?} of {request:?}");
        assert_agrees(&world);
    }
    // Several of a segment.
    let three = cases().into_iter().take(3).zip(3..);
    let three = three.map(|((fault, request, _), index)| {
        item(request, Service::Refused(Reason::Terms(fault)), index)
    });
    assert_agrees(&World::new(three.collect()));
    let change = Request::Change(Box::new(listing()));
    assert_agrees(&World::new(vec![refused(&change, Fault::Pending)]));
}

/// Requests in which nothing is wrong, and the neighbours of those in which something is.
fn sound() -> Vec<Request> {
    let (sender, account, keys) = (OWNER, USER, Keys::default());
    vec![
        Request::Flag {
            account: AccountId(1024),
        },
        Request::Absorb {
            account: AccountId((1 << 28) - 1),
        },
        Request::KeyChange {
            sender,
            account,
            keys,
        },
        Request::CancelAll { sender, account },
        given(FIRST_SUB_ACCOUNT - 1, CASH, 1, true),
        given(FIRST_SUB_ACCOUNT, CASH, (1 << 56) - 1, false),
        given(2000, SPOT, 1 << 22, false),
        asked(2000, CASH, 1),
        asked(2000, SPOT, 1),
        take(|_| {}),
        take(|t| (t.limit, t.size) = ((1 << 63) - 1, 1 << 22)),
        take(|t| (t.side, t.limit) = (Side::Short, 0)),
    ]
}

/// The operator cannot refuse a sound item for any fault: neither as it is, nor by reading another
/// row, nor none, nor a place that is not vacant.
#[test]
fn j4_a_sound_item_is_refused_for_no_fault() {
    let f = fixture();
    for request in sound() {
        for fault in FAULTS {
            let world = World::new(vec![refused(&request, fault)]);
            assert_eq!(world.native().err(), Some("J4.no_fault"));
            assert!(!world.accepted(), "{fault:?} of {request:?}");
        }
        let mut world = World::new(vec![]);
        let mut renamed = perpetual();
        (renamed.id, renamed.row) = (InstrumentId(900), 900);
        world.rows.insert(renamed.id, renamed);
        let table = world.table();
        let vacant = RowProof::Vacant(table.path(SPOT.0));
        for proof in [RowProof::None, RowProof::Read(renamed), vacant] {
            let given = (
                Item {
                    index: 3,
                    request: request.clone(),
                },
                Fault::Unlisted,
                proof,
            );
            let value = OtherWitness {
                faults: vec![Placed {
                    value: given,
                    first: 0,
                }],
                ..OtherWitness::default()
            };
            let context = Context {
                table: table.root(),
                ..world.context
            };
            let mut witness = epoch_witness(&f.segment.segment, &context);
            f.segment.assign(&mut witness, &value).unwrap();
            assert!(
                f.checker.check_with_lies(&witness, &[]).is_err(),
                "{request:?}"
            );
        }
    }
}

/// Outcome and kind, and each word that goes on the bus.
#[test]
fn j4_no_word_of_a_faulty_item_can_be_changed() {
    let f = fixture();
    for (fault, request, bend) in cases() {
        let mut world = World::new(vec![refused(&request, fault)]);
        bend(&mut world);
        let witness = world.witness().unwrap();
        let accepted = f.checker.check(&witness).unwrap();
        let given = &witness.target_values;
        for entry in &f.segment.segment.entries {
            let live = accepted.get(entry.multiplicity) != F::ZERO;
            let words = entry.words.iter().filter(|word| !given.contains_key(*word));
            for &word in words.filter(|_| live && entry.tag != BusTag::Market) {
                let lie = [(word, accepted.get(word) + F::ONE)];
                let verdict = f.checker.check_with_lies(&witness, &lie);
                assert!(verdict.is_err(), "{word:?} of {:?}", entry.tag);
            }
        }
    }
}

fn account() -> impl Strategy<Value = u32> {
    let edges = vec![0, 1023, 1024, FIRST_SUB_ACCOUNT - 1, FIRST_SUB_ACCOUNT];
    prop_oneof![
        6 => 2000u32..2003,
        1 => select(edges),
        1 => select(vec![(1 << 28) - 1, 1 << 28, u32::MAX]),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    let mark = perpetual().mark;
    let edges = vec![0, 1, mark - 1, mark, mark + 1, 1 << 22, (1 << 22) + 1];
    let wide = vec![(1 << 56) - 1, 1 << 56, 1 << 62, (1 << 63) - 1];
    prop_oneof![4 => 0u64..1 << 23, 2 => select(edges), 1 => select(wide)]
}

prop_compose! {
    fn any_request()(
        kind in 1u64..8, account in account(), taker in account(), amount in number(),
        instrument in select(vec![CASH, SPOT, PERPETUAL, RENAMED, NOWHERE, QUOTE_ROW]),
        limit in number(), short: bool, new: bool,
    ) -> Request {
        let (sender, id) = (OWNER, AccountId(account));
        let side = if short { Side::Short } else { Side::Long };
        match kind {
            1 => given(account, instrument, amount, new),
            2 => asked(account, instrument, amount),
            3 => Request::KeyChange { sender, account: id, keys: Keys::default() },
            4 => Request::CancelAll { sender, account: id },
            5 => Request::Flag { account: id },
            6 => take(|t| {
                (t.account, t.taker, t.instrument) = (id, AccountId(taker), instrument);
                (t.side, t.size, t.limit) = (side, amount, limit);
            }),
            _ => Request::Absorb { account: id },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(4),
        ..ProptestConfig::with_cases(80)
    })]

    /// Natively and in the circuit the same items are refused, for the same fault.
    #[test]
    fn j4_agrees_on_random_items(
        request in any_request(), vault in select(vec![0u64, 1 << 50]),
        status in select(vec![0u64, 1, 2, 4, 8]),
    ) {
        let mut world = World::new(vec![]);
        world.context.vault = vault;
        for row in world.rows.values_mut() {
            row.flags = status;
        }
        let (epoch, market) = (EpochTerms::from(&world.context), world.market());
        let terms = Terms { epoch: &epoch, market: &market };
        let found = fault(&request, &terms).unwrap();
        world.entries = vec![refused(&request, found.unwrap_or(Fault::Amount))];
        match found {
            Some(_) => assert_agrees(&world),
            None => prop_assert!(!world.accepted(), "{:?}", request),
        }
    }
}
