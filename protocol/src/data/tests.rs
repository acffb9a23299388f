//! What is written is read back; what was altered is refused or leads to another root.

use proptest::prelude::*;

use super::*;
use crate::account::{Money, Owner, Slot};
use crate::bounds::SLOTS;
use crate::entry::Withdrawal;
use crate::epoch::EpochTrace;
use crate::hash::{Digest, signed};
use crate::instrument::{InstrumentKind, Row, RowParams, Status};
use crate::queue::{QueueRecord, Request, Service};
use crate::state::State;
use crate::terms::CASH;
use crate::testing::{World, perpetual, spot};
use crate::types::{AccountId, InstrumentId, Side};

const MARK: u64 = 10_000_000;
const SHAPE: DataShape = DataShape {
    queue: 2,
    withdrawals: 1,
    small: 3,
    large: 1,
    rows: 2,
};

/// Batches of one epoch each: accounts are created, trade, lose, are paid by an L1 item.
fn batches() -> (Rebuilt, Vec<EpochTrace>, State) {
    let mut world = World::new(&[perpetual(1, MARK), spot(2, MARK)]);
    let mut rebuilt = Rebuilt::genesis().unwrap();
    // `World` lists its rows in genesis.
    rebuilt.table = world.state.table.clone();
    let mut traces = vec![world.fund(&[(2_000, 110_000_000), (2_001, 1_000_000_000)])];
    let fill = world.fill(2_000, 2_001, 1, 60, MARK);
    traces.push(world.epoch(|builder| builder.push(fill)).unwrap().1);
    world.marks.insert(1, MARK * 4 / 5);
    traces.push(world.epoch(|_| Ok(())).unwrap().1);
    let asked = Request::Withdraw {
        sender: world
            .state
            .accounts
            .account(AccountId(2_001))
            .unwrap()
            .owner,
        account: AccountId(2_001),
        instrument: CASH,
        amount: 5_000_000,
    };
    let paid = world.item(asked, Service::Paid(5_000_000));
    let deposit = world.deposit(2_000, InstrumentId(2), 3, false);
    let entries = [paid, deposit];
    let served = world.epoch(|b| entries.into_iter().try_for_each(|e| b.push(e).map(drop)));
    traces.push(served.unwrap().1);
    (rebuilt, traces, world.state)
}

fn batch(traces: &[EpochTrace]) -> BatchData {
    let mut data = BatchData::of_epoch(&traces[0], &SHAPE);
    for trace in &traces[1..] {
        data.append(BatchData::of_epoch(trace, &SHAPE));
    }
    data
}

fn code<T: std::fmt::Debug>(result: Result<T, DataError>) -> &'static str {
    result.unwrap_err().code()
}

#[test]
fn p6_c3_the_state_is_rebuilt_from_l1_data_alone() {
    let (mut rebuilt, traces, state) = batches();
    for traces in traces.chunks(3) {
        let bytes = batch(traces).bytes().unwrap();
        let read = BatchData::read(&bytes).unwrap();
        assert_eq!(read, batch(traces));
        rebuilt.apply(&read).unwrap();
        assert_eq!(rebuilt.last(), Some(&read.statement));
    }
    assert_eq!(rebuilt.last().unwrap().state_after, state.root());
    assert_eq!(rebuilt.tree().root(), state.accounts.root());
    assert_eq!(rebuilt.table.root(), state.table.root());
    assert_eq!(rebuilt.accounts.len(), state.accounts.len());
    for (id, member) in state.accounts.iter() {
        let (leaf, account) = (&rebuilt.accounts[&id.0], &member.account);
        assert_eq!((&leaf.money, leaf.owner), (&account.money, account.owner));
        assert_eq!(leaf.rest, account.rest.digest());
    }
}

/// Every word of every record of an account or a row, and the root and header that they lead to.
#[test]
fn p6_one_altered_word_does_not_reach_the_root() {
    let (mut rebuilt, traces, _) = batches();
    for trace in traces.chunks(1) {
        let data = batch(trace);
        let words = data.words();
        let reaches = |index: &usize| {
            let mut lie = words.clone();
            lie[*index] ^= 1;
            let read = BatchData::read(&bytes_of(&lie).unwrap());
            read.and_then(|read| rebuilt.clone().apply(&read)).is_ok()
        };
        let ignored: Vec<usize> = (0..words.len()).filter(reaches).collect();
        // Last epoch, round, time; records of the queue and of withdrawals: the state
        // does not follow from them, the proof's y binds them. In the first batch chain and
        // contract, and the root before, have nothing to be compared with.
        let mut free: Vec<usize> = match rebuilt.last() {
            None => (2..6).chain(7..10).chain(14..22).collect(),
            Some(_) => (7..10).collect(),
        };
        let mut start = STATEMENT_WORDS;
        for list in &data.lists {
            let [queue, withdrawals, ..] = list.counts();
            let records = queue * QUEUE_WORDS + withdrawals * WITHDRAWAL_WORDS;
            free.extend(start + SECTIONS..start + SECTIONS + records);
            start += list.words().len();
        }
        assert_eq!(start, words.len());
        assert_eq!(ignored, free);
        rebuilt.apply(&data).unwrap();
    }
}

#[test]
fn p5_batches_apply_in_their_order_and_to_their_chain() {
    let (genesis, traces, _) = batches();
    let (first, second) = (batch(&traces[..2]), batch(&traces[2..]));
    let mut rebuilt = genesis.clone();
    assert_eq!(code(rebuilt.clone().apply(&second)), "P5.epoch");
    rebuilt.apply(&first).unwrap();
    assert_eq!(code(rebuilt.clone().apply(&first)), "P5.epoch");
    let changed = |change: fn(&mut BatchStatement)| {
        let mut lie = second.clone();
        change(&mut lie.statement);
        code(rebuilt.clone().apply(&lie))
    };
    assert_eq!(changed(|s| s.chain_id ^= 1), "P5.domain");
    assert_eq!(changed(|s| s.contract[1] ^= 1), "P5.domain");
    assert_eq!(changed(|s| s.state_before = Digest::default()), "P5.state");
    assert_eq!(changed(|s| s.header_after = Digest::default()), "P6.root");
    let mut again = second.clone();
    again.lists[0].small[0].owner = Owner([7; 20]);
    assert_eq!(code(rebuilt.apply(&again)), "P6.created");
}

/// The words of an account's record in a batch that holds one account and one row, by position.
#[test]
fn p6_words_that_nothing_writes_are_refused() {
    let mut list = DataList {
        small: vec![AccountRecord {
            id: 7,
            money: Money::default(),
            rest: Digest::default(),
            owner: Owner::default(),
        }],
        rows: vec![(1, Row::default())],
        ..DataList::default()
    };
    list.small[0].money.cash = 5;
    let data = of_lists(vec![list]);
    let words = data.words();
    let account = STATEMENT_WORDS + SECTIONS;
    let row = account + account_words(SMALL_SLOTS);
    let refused = |place: usize, value: u64| {
        let mut lie = words.clone();
        lie[place] = value;
        code(BatchData::read(&bytes_of(&lie).unwrap()))
    };
    assert_eq!(refused(account, 1 << 28), "P6.range");
    assert_eq!(refused(account + 1, 1 << 32), "P6.half");
    assert_eq!(refused(account + 2, u64::from(u32::MAX)), "P6.aliased");
    assert_eq!(refused(account + 3, 1 << 32), "P6.range");
    // A key, then a carry, in an empty slot; a carry of −2^42.
    assert_eq!(refused(account + 5, 2), "P6.range");
    assert_eq!(refused(account + 7, CARRY_OFFSET + 1), "P6.range");
    assert_eq!(refused(account + 7, 0), "P6.range");
    assert_eq!(refused(row - 1, 1 << 48), "P6.range");
    assert_eq!(refused(row, 1 << 10), "P6.range");
    assert_eq!(refused(row + 2, 3), "P6.range");
    assert_eq!(refused(row + 15, 5), "P6.range");
    assert_eq!(refused(row + 20, 2 * PREMIUM_OFFSET), "P6.range");
    // More records claimed than there are; records that the statement does not count.
    assert_eq!(refused(account - 1, u64::from(u32::MAX)), "P6.cut");
    assert_eq!(refused(13, 0), "P6.sections");
    for cut in [1, 2, ROW_RECORD_WORDS] {
        let mut lie = words[..words.len() - cut].to_vec();
        lie[1] -= cut as u64;
        assert_eq!(code(BatchData::read(&bytes_of(&lie).unwrap())), "P6.cut");
    }
    let mut longer = words.clone();
    longer.push(0);
    longer[1] += 1;
    assert_eq!(code(BatchData::read(&bytes_of(&longer).unwrap())), "P6.cut");
    let bytes = data.bytes().unwrap();
    assert_eq!(code(BatchData::read(&bytes[1..])), "P6.bytes");
}

/// A batch of these lists, of some epoch.
fn of_lists(lists: Vec<DataList>) -> BatchData {
    let zero = Digest::default();
    let statement = BatchStatement {
        length: 0,
        chain_id: 1,
        contract: [2, 3, 4],
        first_epoch: 5,
        last_epoch: 6,
        round: 7,
        time: 8,
        sections: [0; 4],
        state_before: zero,
        state_after: zero,
        header_after: zero,
    };
    let mut data = BatchData { statement, lists };
    let words = data.lists.iter().map(|list| list.words().len());
    data.statement.length = (STATEMENT_WORDS + words.sum::<usize>()) as u64;
    data.statement.sections = data.sections();
    data
}

fn digest() -> impl Strategy<Value = Digest> {
    let residue = prop_oneof![Just(FIELD_ORDER - 1), 0..FIELD_ORDER];
    prop::array::uniform4(residue).prop_map(|words| Digest {
        elements: words.map(unsigned),
    })
}

fn slot() -> impl Strategy<Value = Slot> {
    let most = (1i64 << 42) - 1;
    let held = (any::<u32>(), any::<bool>(), 1u64..1 << 48, -most..=most);
    let held = held.prop_map(|(id, is_short, size, carry)| Slot {
        instrument: InstrumentId(id),
        side: if is_short { Side::Short } else { Side::Long },
        size,
        carry,
    });
    prop_oneof![Just(Slot::default()), held]
}

fn account(slots: usize) -> impl Strategy<Value = AccountRecord> {
    let cash = prop_oneof![Just(1i64 - (1 << 60)), -9i64..9, any::<i64>()];
    let numbers = (0u32..1 << 28, any::<u32>(), any::<u32>());
    let owner = prop::array::uniform20(any::<u8>());
    let slots = prop::collection::vec(slot(), slots);
    (numbers, cash, slots, digest(), owner).prop_map(|(numbers, cash, slots, rest, owner)| {
        let (id, flagged_at, touched_at) = numbers;
        // As far as a residue tells: half the field.
        let cash = cash / 2;
        let mut money = Money {
            cash,
            flagged_at,
            touched_at,
            ..Money::default()
        };
        assert_eq!(signed(cash), signed(money.cash));
        for (to, from) in money.slots.iter_mut().zip(slots) {
            *to = from;
        }
        let owner = Owner(owner);
        AccountRecord {
            id,
            money,
            rest,
            owner,
        }
    })
}

fn row() -> impl Strategy<Value = (u32, Row)> {
    let sizes = prop::array::uniform3(0u64..1 << 42);
    let fractions = prop::array::uniform8(0u32..1 << 20);
    let params = (any::<u32>(), 0u64..3, sizes, fractions).prop_map(|(id, kind, s, f)| RowParams {
        id: InstrumentId(id),
        kind: InstrumentKind::from_number(kind).unwrap(),
        asset: id % 896,
        max_price: s[0],
        max_size: s[1],
        max_open_interest: s[2],
        initial_long: f[0],
        initial_short: f[1],
        maintenance_long: f[2],
        maintenance_short: f[3],
        penalty: f[4],
        fill_band: f[5],
        price_band: f[6],
        funding_cap: f[7],
    });
    let (price, wide) = ((1i64 << 42) - 1, (1i64 << 48) - 1);
    let signs = (-price..=price, -price..=price, -wide..=wide, -wide..=wide);
    let sizes = (0u64..1 << 40, prop::array::uniform2(0u64..1 << 42));
    let open = prop::array::uniform2(0u64..1 << 48);
    let numbers = (0u32..1 << 10, 0u64..5, any::<u32>(), any::<u32>());
    (params, numbers, sizes, open, signs).prop_map(|(params, numbers, prices, open, signs)| {
        let (number, status, round, insurance_since) = numbers;
        let row = Row {
            params,
            status: Status::from_number(status).unwrap(),
            round,
            time: prices.0,
            mark: prices.1[0],
            index: prices.1[1],
            premium: signs.2,
            long_carry: signs.0,
            short_carry: signs.1,
            open_long: open[0],
            open_short: open[1],
            insurance_size: signs.3,
            insurance_since,
        };
        (number, row)
    })
}

fn lists() -> impl Strategy<Value = Vec<DataList>> {
    let plain = prop::array::uniform10(0u64..1 << ELEMENT_BITS);
    let long = prop::array::uniform10(0u64..FIELD_ORDER);
    let outcome = (0u64..1 << 56, plain, long, any::<u32>());
    let outcome = outcome.prop_map(|(index, plain, long, outcome)| {
        let mut words = plain.iter().chain(&long);
        QueueRecord {
            index,
            words: std::array::from_fn(|_| unsigned(*words.next().unwrap())),
            outcome,
        }
    });
    let owner = prop::array::uniform20(any::<u8>());
    let withdrawal = (owner, any::<u32>(), 0u64..1 << 56);
    let withdrawal = withdrawal.prop_map(|(owner, asset, amount)| Withdrawal {
        owner: Owner(owner),
        asset,
        amount,
    });
    let sections = (
        prop::collection::vec(outcome, 0..3),
        prop::collection::vec(withdrawal, 0..3),
        prop::collection::vec(account(SMALL_SLOTS), 0..3),
        prop::collection::vec(account(SLOTS), 0..3),
        prop::collection::vec(row(), 0..3),
    );
    let list = sections.prop_map(|(queue, withdrawals, small, large, rows)| DataList {
        queue,
        withdrawals,
        small,
        large,
        rows,
    });
    prop::collection::vec(list, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn p6_records_round_trip(lists in lists()) {
        let data = of_lists(lists);
        let bytes = data.bytes().unwrap();
        prop_assert_eq!(BatchData::read(&bytes), Ok(data));
    }

    /// Whatever the bytes, reading ends without a panic, and what is read is written back the same.
    #[test]
    fn p6_bytes_and_content_determine_each_other(
        lists in lists(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u64..1 << 56), 1..4),
    ) {
        let mut words = of_lists(lists).words();
        for (place, value) in changes {
            let place = place.index(words.len());
            words[place] = value;
        }
        let bytes = bytes_of(&words).unwrap();
        if let Ok(read) = BatchData::read(&bytes) {
            prop_assert_eq!(read.bytes().unwrap(), bytes);
        }
    }
}
