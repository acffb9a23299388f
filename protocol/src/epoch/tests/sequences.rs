//! Random sequences of entries over epochs of moving marks. What each keeps:
//! - the trial balance is zero and the rows' totals are what is held \[S8\], \[T8\];
//! - an account whose risk grew ends at or above its initial requirement \[L4\];
//! - whoever held nothing before an epoch pays nothing of its shift \[Q6\];
//! - nobody pays more by a shift than his side won in that tick \[Q6\];
//! - nobody stays bankrupt who could have been absorbed before \[Q5\].

use proptest::prelude::*;

use crate::entry::Entry;
use crate::epoch::{EpochBuilder, EpochTrace};
use crate::hash::Digest;
use crate::journal::flag::Flag;
use crate::journal::liquidation::Liquidation;
use crate::journal::withdraw::WithdrawEntry;
use crate::ledger::{Context, MarginRows, Running};
use crate::margin::totals;
use crate::message::Withdraw;
use crate::terms::CASH;
use crate::testing::{World, perpetual, spot};
use crate::trial_balance;
use crate::types::{AccountId, InstrumentId};

const MARK: u64 = 10_000_000;
const FIRST: u32 = 2_000;
const USERS: u32 = 5;
const SPOT: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Long, short, row, lots, price in thousandths of the mark.
    Fill(u32, u32, u32, u64, u64),
    Withdraw(u32, u64),
    DepositCash(u32, u64),
    DepositSpot(u32, u64),
    FlagAll,
    /// Lots of every flagged account's holdings to a taker.
    Liquidate(u32, u64),
}

/// Marks move by thousandths, then the steps are tried.
type Epoch = (Vec<i64>, Vec<Step>);

fn user() -> impl Strategy<Value = u32> {
    (0..USERS).prop_map(|index| FIRST + index)
}

fn step() -> impl Strategy<Value = Step> {
    let fill = (user(), user(), 1u32..=SPOT, 1u64..60, 970u64..1_030);
    prop_oneof![
        6 => fill.prop_map(|(l, s, row, lots, price)| Step::Fill(l, s, row, lots, price)),
        1 => (user(), 1u64..200_000_000).prop_map(|(id, cash)| Step::Withdraw(id, cash)),
        1 => (user(), 1u64..50_000_000).prop_map(|(id, cash)| Step::DepositCash(id, cash)),
        1 => (user(), 1u64..20).prop_map(|(id, lots)| Step::DepositSpot(id, lots)),
        2 => Just(Step::FlagAll),
        2 => (user(), 1u64..20).prop_map(|(id, lots)| Step::Liquidate(id, lots)),
    ]
}

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    let moves = prop::collection::vec(-120i64..120, SPOT as usize);
    prop::collection::vec((moves, prop::collection::vec(step(), 0..12)), 1..9)
}

fn entries(world: &mut World, builder: &EpochBuilder<'_>, step: &Step) -> Vec<Entry> {
    match *step {
        Step::Fill(long, short, row, lots, price) => {
            let mark = world.marks[&row];
            vec![world.fill(long, short, row, lots, mark / 1_000 * price)]
        }
        Step::Withdraw(id, amount) => {
            let running = builder.account(AccountId(id)).unwrap();
            let message = Withdraw {
                account: AccountId(id),
                generation: running.rest.generation,
                nonce: running.rest.nonce,
                instrument: CASH,
                amount,
                least: 0,
            };
            let owner = running.owner;
            vec![Entry::Withdraw(WithdrawEntry { message, owner })]
        }
        Step::DepositCash(id, cash) => vec![world.deposit(id, CASH, cash, false)],
        Step::DepositSpot(id, lots) => {
            vec![world.deposit(id, InstrumentId(SPOT), lots, false)]
        }
        Step::FlagAll => (0..USERS)
            .map(|index| {
                Entry::Flag(Flag {
                    account: AccountId(FIRST + index),
                })
            })
            .collect(),
        Step::Liquidate(taker, lots) => liquidations(world, builder, taker, lots),
    }
}

fn liquidations(
    world: &mut World,
    builder: &EpochBuilder<'_>,
    taker: u32,
    lots: u64,
) -> Vec<Entry> {
    let mut made = Vec::new();
    for (account, running) in builder.liquidatable() {
        for place in running
            .places
            .iter()
            .filter(|place| place.holding.size != 0)
        {
            let (instrument, size) = (place.holding.row.id, place.holding.size);
            let terms = builder.liquidation_terms(account, instrument).unwrap();
            let (charge, flagged_at) = terms.unwrap();
            let lots = lots.min(size.unsigned_abs());
            let signed = lots.cast_signed() * size.signum();
            made.push(Entry::Liquidation(Box::new(Liquidation {
                account,
                order: world.order(taker, instrument.0, signed),
                size: lots,
                charge,
                discount: 0,
                flagged_at,
            })));
        }
    }
    made
}

/// What happened, so that a test can tell that it tested something.
#[derive(Debug, Default)]
struct Reached {
    fills: usize,
    liquidations: usize,
    absorbed: usize,
    shifted: usize,
}

impl Reached {
    fn count(&mut self, trace: &EpochTrace) {
        for entry in &trace.entries {
            match entry {
                Entry::Fill(_) => self.fills += 1,
                Entry::Liquidation(_) => self.liquidations += 1,
                Entry::Absorption(_) => self.absorbed += 1,
                _ => {}
            }
        }
        self.shifted += trace
            .rows
            .iter()
            .filter(|row| row.shift.per_lot > 0)
            .count();
    }
}

/// Runs the epochs; refused entries are tried and left out. The last root comes back.
fn run(epochs: &[Epoch]) -> (Digest, Reached) {
    let rows = [perpetual(1, MARK), perpetual(2, MARK), spot(SPOT, MARK)];
    let mut world = World::new(&rows);
    let users =
        (0..USERS).map(|index| (FIRST + index, 150_000_000 + 90_000_000 * u64::from(index)));
    world.fund(&users.collect::<Vec<_>>());
    let mut reached = Reached::default();
    for (moves, steps) in epochs {
        for (row, thousandths) in (1..).zip(moves) {
            let mark = world.marks[&row].cast_signed();
            let moved = (mark + mark / 1_000 * thousandths).clamp(1_000_000, 50_000_000);
            world.marks.insert(row, moved.cast_unsigned());
        }
        let (state, round) = (world.state.clone(), world.round());
        let absorb = EpochBuilder::absorbable(&state, &round).unwrap();
        let mut builder = EpochBuilder::begin(&state, round, world.plan(absorb)).unwrap();
        for step in steps {
            let item = world.next_item;
            for entry in entries(&mut world, &builder, step) {
                let is_item = matches!(entry, Entry::Item(_));
                let pushed = builder.push(entry).is_ok();
                if is_item && !pushed {
                    world.next_item = item;
                }
            }
        }
        let (state, trace) = builder.finish().expect("an accepted journal closes");
        world.state = state;
        trial_balance::check(&world.state).unwrap();
        trace
            .accounts
            .iter()
            .for_each(|step| check_account(&trace, step));
        check_shifts(&trace);
        reached.count(&trace);
    }
    (world.state.root(), reached)
}

fn check_account(trace: &EpochTrace, step: &crate::epoch::AccountStep) {
    let Some(after) = step.after.as_ref().filter(|_| !step.id.is_system()) else {
        return;
    };
    let rows: MarginRows = trace.rows.iter().map(|row| row.margin()).collect();
    let context = Context {
        epoch: u32::MAX,
        flag_expiry: 256,
    };
    let closed = Running::open(context, step.id, Some(after), &rows).unwrap();
    let now = totals(closed.cash, &closed.holdings()).unwrap();
    let sizes = |account: &crate::account::Account| -> Vec<(InstrumentId, i64)> {
        let held = account.money.slots.iter().filter(|slot| !slot.is_empty());
        held.map(|slot| (slot.instrument, slot.signed_size()))
            .collect()
    };
    let before = step.before.as_ref().map(sizes).unwrap_or_default();
    let deposited = |id: InstrumentId| -> i64 {
        let deposits = step.postings.iter().map(|step| &step.posting);
        let deposits = deposits.filter(|p| p.needs.has(crate::posting::Needs::DEPOSIT));
        deposits
            .filter(|p| p.instrument == id)
            .map(|p| p.delta_size)
            .sum()
    };
    let grew = sizes(after).into_iter().any(|(id, size)| {
        let old = before
            .iter()
            .find(|(held, _)| *held == id)
            .map_or(0, |(_, size)| *size);
        let base = old + deposited(id);
        size.signum() * base.signum() <= 0 || size.abs() > base.abs()
    });
    assert!(!grew || now.meets_initial(), "{step:?}");
    if before.is_empty()
        && let Some(account) = &step.before
    {
        assert_eq!(step.opening.cash, account.money.cash);
    }
    if step.group.is_some() {
        assert!(step.opening.equity_before_shift < 0);
        assert_eq!((after.money.cash, sizes(after).len()), (0, 0));
    }
}

fn check_shifts(trace: &EpochTrace) {
    for row in &trace.rows {
        assert!(row.shift.per_lot <= row.exposure.gain);
        if let (true, Some(ticked)) = (row.shift.per_lot > 0, row.ticked) {
            let won = match row.shift.side {
                crate::types::Side::Long => -ticked.delta,
                crate::types::Side::Short => ticked.delta,
            };
            assert!(won >= row.shift.per_lot.cast_signed());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: proptest::test_runner::RngSeed::Fixed(8),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_sequences_keep_every_invariant(epochs in epochs()) {
        let (root, _) = run(&epochs);
        // The same entries give the same root.
        prop_assert_eq!(run(&epochs).0, root);
    }
}

/// The sequences are not idle: fills, liquidations, absorptions and shared losses happen in them.
#[test]
fn sequences_reach_what_they_are_for() {
    let buy = |lots| Step::Fill(FIRST, FIRST + 4, 1, lots, 1_000);
    let sell = |lots| Step::Fill(FIRST + 1, FIRST + 4, 1, lots, 1_000);
    let at = |thousandths, steps| -> Epoch { (vec![thousandths, 0, 0], steps) };
    let (_, reached) = run(&[
        at(0, vec![buy(140), sell(100)]),
        at(-65, vec![Step::FlagAll]),
        at(
            0,
            vec![
                Step::Liquidate(FIRST + 3, 9),
                Step::Withdraw(FIRST + 4, 1_000),
            ],
        ),
        at(-100, vec![Step::FlagAll]),
        at(-110, vec![Step::FlagAll]),
    ]);
    assert_eq!((reached.fills, reached.liquidations), (2, 1), "{reached:?}");
    assert!(reached.absorbed > 0 && reached.shifted > 0, "{reached:?}");
}
