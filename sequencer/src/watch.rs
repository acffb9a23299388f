//! Whose equity is near maintenance: found at each tick without looking at everyone.
//!
//! Statement: after `advance(rows)`, the accounts it returns are exactly those that are
//! liquidatable at these rows \[L5\].
//!
//! Per lot held, a side of a row is a *burden* b = carry + maintenance − value (a short: + value),
//! and an account's slack is linear in burdens: E − maintenance = K − Σ |size|·b, where K = cash +
//! Σ |size|·carry at entry. Likewise cash after carry is settled, with b = carry. Both must be ≥ 0.
//!
//! An account with slack σ ≥ 0 stands under each of its burdens with the threshold b + ⌊σ·m/W⌋, m
//! being the side's maintenance a lot and W = Σ |size|·m. While no burden passes its threshold, the
//! slack lost is at most Σ |size|·σ·m/W = σ: the account is not liquidatable and is not looked at.
//! When one does, the slack is computed exactly and the thresholds are set anew.
//!
//! Bound: an account is looked at in a tick only if some burden of its own has risen, since it
//! was last looked at, by more than σ/W times that side's maintenance: by more than its own
//! distance, in units of maintenance. A tick in which no burden rises by more than δ·m costs a
//! look at those with σ/W < δ since then, O(log n) each; those far away cost nothing.

use std::collections::{BTreeMap, BTreeSet};

use tally_protocol::account::Money;
use tally_protocol::instrument::{MarginRow, flags};
use tally_protocol::types::{AccountId, InstrumentId, Side};

/// Which of the two sums a burden is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Measure {
    Equity,
    Cash,
}

type Key = (InstrumentId, Side, Measure);

/// A side of a row, per lot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Burden {
    amount: i64,
    maintenance: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Watch {
    burdens: BTreeMap<Key, Burden>,
    thresholds: BTreeMap<Key, BTreeSet<(i64, AccountId)>>,
    /// Where an account stands.
    places: BTreeMap<AccountId, Vec<(Key, i64)>>,
    below: BTreeSet<AccountId>,
    looks: u64,
}

impl Watch {
    /// Accounts looked at so far.
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// Liquidatable at the rows that were taken in last.
    pub fn is_below(&self, id: AccountId) -> bool {
        self.below.contains(&id)
    }

    /// An account as its leaf is now.
    pub fn set(&mut self, id: AccountId, money: &Money) {
        self.remove(id);
        let (equity, cash) = (
            self.slack(money, Measure::Equity),
            self.slack(money, Measure::Cash),
        );
        if equity < 0 || cash < 0 {
            self.below.insert(id);
            return;
        }
        self.below.remove(&id);
        let mut places = Vec::new();
        self.place(id, money, (Measure::Equity, equity), &mut places);
        // Without owned value, equity is cash, and maintenance is not negative.
        let owns = |slot: &&tally_protocol::account::Slot| {
            let of = |measure| self.burden((slot.instrument, slot.side, measure)).amount;
            !slot.is_empty() && of(Measure::Equity) < of(Measure::Cash)
        };
        if money.slots.iter().find(owns).is_some() {
            self.place(id, money, (Measure::Cash, cash), &mut places);
        }
        self.places.insert(id, places);
    }

    pub fn remove(&mut self, id: AccountId) {
        self.below.remove(&id);
        for (key, threshold) in self.places.remove(&id).unwrap_or_default() {
            if let Some(set) = self.thresholds.get_mut(&key) {
                set.remove(&(threshold, id));
            }
        }
    }

    /// Takes the rows in and returns who is liquidatable at them, by rising id. `money` finds an
    /// account's leaf.
    pub fn advance<'m>(
        &mut self,
        rows: impl Iterator<Item = MarginRow>,
        money: impl Fn(AccountId) -> Option<&'m Money>,
    ) -> Vec<AccountId> {
        let mut near = self.below.clone();
        for (key, burden) in rows.flat_map(|row| burdens(&row)) {
            let last = self.burdens.insert(key, burden);
            let rises = last.is_none_or(|last| last.amount < burden.amount);
            if let (true, Some(set)) = (rises, self.thresholds.get(&key)) {
                let passed = set.range(..(burden.amount, AccountId(0)));
                near.extend(passed.map(|(_, id)| *id));
            }
        }
        for id in near {
            self.looks = self.looks.saturating_add(1);
            match money(id) {
                Some(money) => self.set(id, money),
                None => self.remove(id),
            }
        }
        self.below.iter().copied().collect()
    }

    /// \[L5\] What is left before the account is liquidatable by this measure.
    fn slack(&self, money: &Money, measure: Measure) -> i128 {
        let mut slack = i128::from(money.cash);
        for slot in money.slots.iter().filter(|slot| !slot.is_empty()) {
            let burden = self.burden((slot.instrument, slot.side, measure)).amount;
            let per_lot = i128::from(slot.carry).saturating_sub(burden.into());
            slack = slack.saturating_add(i128::from(slot.size).saturating_mul(per_lot));
        }
        slack
    }

    fn place(
        &mut self,
        id: AccountId,
        money: &Money,
        (measure, slack): (Measure, i128),
        places: &mut Vec<(Key, i64)>,
    ) {
        let held = || money.slots.iter().filter(|slot| !slot.is_empty());
        let key = |slot: &tally_protocol::account::Slot| (slot.instrument, slot.side, measure);
        let weight = |of: &Burden| i128::from(of.maintenance.max(1));
        let sum = held()
            .map(|slot| i128::from(slot.size).saturating_mul(weight(&self.burden(key(slot)))));
        let sum = sum.fold(0i128, i128::saturating_add).max(1);
        let found: Vec<(Key, i64)> = held()
            .map(|slot| {
                let burden = self.burden(key(slot));
                let room = slack.saturating_mul(weight(&burden)).div_euclid(sum);
                let threshold = i128::from(burden.amount).saturating_add(room);
                (key(slot), i64::try_from(threshold).unwrap_or(i64::MAX))
            })
            .collect();
        for (key, threshold) in found {
            self.thresholds
                .entry(key)
                .or_default()
                .insert((threshold, id));
            places.push((key, threshold));
        }
    }

    fn burden(&self, key: Key) -> Burden {
        self.burdens.get(&key).copied().unwrap_or_default()
    }
}

/// Marks, requirements and |carry| are below 2^43, so the sums are far from 2^63.
fn burdens(row: &MarginRow) -> [(Key, Burden); 4] {
    let settled = row.flags & flags::SETTLED != 0;
    let side = |side: Side| {
        let (carry, maintenance) = match settled {
            true => (row.carry(side), 0),
            false => (row.carry(side), row.maintenance(side)),
        };
        let value = match (settled, side) {
            (true, _) => 0,
            (false, Side::Long) => row.value.cast_signed().saturating_neg(),
            (false, Side::Short) => row.value.cast_signed(),
        };
        let equity = carry
            .saturating_add(maintenance.cast_signed())
            .saturating_add(value);
        let of = |measure, amount| {
            (
                (row.id, side, measure),
                Burden {
                    amount,
                    maintenance,
                },
            )
        };
        [of(Measure::Equity, equity), of(Measure::Cash, carry)]
    };
    let ([a, b], [c, d]) = (side(Side::Long), side(Side::Short));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tally_protocol::account::{Account, Slot};
    use tally_protocol::ledger::{Context, MarginRows, Running};

    use super::*;

    fn row(id: u32, mark: u64, carry: i64, spot: bool) -> MarginRow {
        MarginRow {
            id: InstrumentId(id),
            long_carry: carry,
            short_carry: -carry,
            value: if spot { mark } else { 0 },
            maintenance_long: mark.div_ceil(20),
            maintenance_short: mark.div_ceil(20),
            max_size: 1 << 30,
            ..MarginRow::default()
        }
    }

    fn account(cash: i64, held: &[(u32, i64)]) -> Account {
        let mut account = Account::default();
        account.money.cash = cash;
        for (slot, (id, size)) in account.money.slots.iter_mut().zip(held) {
            let side = if *size < 0 { Side::Short } else { Side::Long };
            *slot = Slot {
                instrument: InstrumentId(*id),
                side,
                size: size.unsigned_abs(),
                carry: 0,
            };
        }
        account
    }

    /// Rows 1 and 2 perpetuals, whose carry follows the mark; row 3 spot, held long only.
    fn rows(marks: [u64; 3]) -> [MarginRow; 3] {
        let carry = |mark: u64| 1_000 - i64::try_from(mark).unwrap();
        [
            row(1, marks[0], carry(marks[0]), false),
            row(2, marks[1], carry(marks[1]), false),
            row(3, marks[2], 0, true),
        ]
    }

    fn scan(accounts: &BTreeMap<AccountId, Account>, rows: &[MarginRow; 3]) -> Vec<AccountId> {
        let rows: MarginRows = rows.iter().copied().collect();
        let context = Context {
            epoch: 9,
            flag_expiry: 256,
        };
        let liquidatable = |(id, account): (&AccountId, &Account)| {
            let opened = Running::open(context, *id, Some(account), &rows).unwrap();
            opened.opening.is_liquidatable.then_some(*id)
        };
        accounts.iter().filter_map(liquidatable).collect()
    }

    fn held() -> impl Strategy<Value = (i64, [i64; 3])> {
        (0i64..60_000, [-60i64..60, -60i64..60, 0i64..40])
    }

    fn moves() -> impl Strategy<Value = [i64; 3]> {
        [-60i64..60, -60i64..60, -90i64..90]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Over random walks of the marks, with accounts that change on the way.
        #[test]
        fn l5_the_watch_finds_whom_a_scan_finds(
            first in proptest::collection::vec(held(), 1..60),
            steps in proptest::collection::vec((moves(), 0usize..60, held()), 1..40),
        ) {
            let of = |(cash, sizes): (i64, [i64; 3])| {
                let held = sizes.iter().zip(1u32..).filter(|(size, _)| **size != 0);
                account(cash, &held.map(|(size, id)| (id, *size)).collect::<Vec<_>>())
            };
            let mut accounts: BTreeMap<AccountId, Account> = first
                .into_iter()
                .zip(1024u32..)
                .map(|(held, id)| (AccountId(id), of(held)))
                .collect();
            let (mut watch, mut marks) = (Watch::default(), [1_000u64; 3]);
            watch.advance(rows(marks).into_iter(), |_| None);
            for (id, account) in &accounts {
                watch.set(*id, &account.money);
            }
            for (moves, place, changed) in steps {
                for (mark, step) in marks.iter_mut().zip(moves) {
                    *mark = mark.saturating_add_signed(step).clamp(20, 4_000);
                }
                let found = watch.advance(rows(marks).into_iter(), |id| {
                    accounts.get(&id).map(|account| &account.money)
                });
                prop_assert_eq!(&found, &scan(&accounts, &rows(marks)));
                let id = AccountId(1024 + place as u32);
                if let Some(account) = accounts.get_mut(&id) {
                    *account = of(changed);
                    watch.set(id, &account.money);
                }
            }
        }
    }

    /// 10,000 accounts far away and one near: a small move looks at the near one alone.
    #[test]
    fn far_accounts_are_not_looked_at() {
        let mut watch = Watch::default();
        watch.advance(rows([1_000; 3]).into_iter(), |_| None);
        let far = account(100_000, &[(1, 10), (2, -10)]);
        let near = account(510, &[(1, 10)]);
        for id in 2_000..12_000 {
            watch.set(AccountId(id), &far.money);
        }
        watch.set(AccountId(1_999), &near.money);
        let money = |id: AccountId| match id.0 {
            1_999 => Some(&near.money),
            _ => Some(&far.money),
        };
        let before = watch.looks();
        assert_eq!(
            watch.advance(rows([998, 1_002, 1_000]).into_iter(), money),
            [AccountId(1_999)]
        );
        assert_eq!(watch.looks() - before, 1);
    }
}
