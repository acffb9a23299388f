//! Strategies for terms: rows at the edges of their bounds, orders and valid entries of each kind.
//! They build values only; every check stays where it is.
#![allow(clippy::arithmetic_side_effects)]

use proptest::prelude::*;

use crate::account::{AccountKind, Keys, Owner};
use crate::bounds::{ACCOUNT_DEPTH, FIRST_USER_ACCOUNT, NOTIONAL_BITS, PRICE_BITS, SIZE_BITS};
use crate::entry::{Entry, EpochTerms, Market};
use crate::hash::unsigned;
use crate::instrument::{InstrumentKind, MarketRow};
use crate::journal::FIRST_SUB_ACCOUNT;
use crate::journal::absorption::Absorption;
use crate::journal::fee_withdraw::FeeWithdraw;
use crate::journal::fill::Fill;
use crate::journal::flag::Flag;
use crate::journal::liquidation::{Liquidation, open_discount};
use crate::journal::sweep::Sweep;
use crate::journal::transfer::{Receiver, TransferEntry};
use crate::journal::unwind::Unwind;
use crate::journal::withdraw::WithdrawEntry;
use crate::message::{Accept, Cancel, CancelAll, Domain, KeyChange, Transfer, Withdraw};
use crate::order::{Order, Place};
use crate::terms::{CASH, Holding};
use crate::types::{AccountId, InstrumentId, Side};

/// The instruments of `market`: an id is its row here.
pub const PERPETUAL: InstrumentId = InstrumentId(1);
pub const SPOT: InstrumentId = InstrumentId(2);

/// An entry that is valid in these terms.
#[derive(Clone, Debug)]
pub struct Case {
    pub epoch: EpochTerms,
    pub market: Market,
    pub entry: Entry,
}

/// An epoch with fills, no deficit and a vault.
pub fn epoch() -> EpochTerms {
    EpochTerms {
        domain: Domain {
            chain_id: 1,
            contract: Owner([7; 20]),
        },
        epoch: 1000,
        time: 1_700_000_000,
        entries: true,
        fills: true,
        deficit: 0,
        vault: 1 << 50,
        unwind_budget: 1 << 58,
        auction_epochs: 16,
        fee_owner: Owner([9; 20]),
    }
}

pub fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Long), Just(Side::Short)]
}

pub fn owner() -> impl Strategy<Value = Owner> {
    any::<[u8; 20]>().prop_map(Owner)
}

pub fn keys() -> impl Strategy<Value = Keys> {
    let key = || any::<[u32; 5]>().prop_map(|key| key.map(|word| unsigned(word.into())));
    (key(), key()).prop_map(|(key, trading_key)| Keys { key, trading_key })
}

/// A user's account in the lower half.
pub fn account() -> impl Strategy<Value = AccountId> {
    prop_oneof![
        Just(FIRST_USER_ACCOUNT),
        FIRST_USER_ACCOUNT..FIRST_SUB_ACCOUNT,
        Just(FIRST_SUB_ACCOUNT - 1)
    ]
    .prop_map(AccountId)
}

/// An active row: M and max_size as large as \[N1\] lets them be together, the mark at most M/2.
pub fn market_row(id: InstrumentId, kind: InstrumentKind) -> impl Strategy<Value = MarketRow> {
    (20u32..=PRICE_BITS, any::<u64>(), any::<u64>()).prop_map(move |(bits, a, b)| {
        let max_price = (1u64 << bits) - 1;
        let most = ((1u64 << NOTIONAL_BITS) - 1) / max_price;
        let mark = (a % (max_price / 2)).max(1);
        let band = b % (mark / 4) + 1;
        MarketRow {
            id,
            kind,
            asset: if kind == InstrumentKind::Spot {
                id.0
            } else {
                0
            },
            row: id.0,
            mark,
            index: mark,
            min_fill: mark.saturating_sub(band),
            max_fill: mark.saturating_add(band),
            penalty: b % (mark / 8) + 1,
            max_size: most.min((1 << SIZE_BITS) - 1),
            insurance_since: 990,
            flags: 0,
        }
    })
}

/// A perpetual in row 1 and a spot asset in row 2.
pub fn market() -> impl Strategy<Value = Market> {
    (
        market_row(PERPETUAL, InstrumentKind::Perpetual),
        market_row(SPOT, InstrumentKind::Spot),
    )
        .prop_map(|(perpetual, spot)| Market::new([perpetual, spot]))
}

pub fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        (0u8..64, 1u32..).prop_map(|(slot, sequence)| Place::Slot { slot, sequence }),
        any::<u32>().prop_map(Place::Nonce),
    ]
}

/// An order that takes any price of the row and any fee up to the mark.
pub fn order(row: MarketRow, side: Side) -> impl Strategy<Value = Order> {
    let most = (1u64 << SIZE_BITS) - 1;
    let highest = (1u64 << PRICE_BITS) - 1;
    let amounts = (1..=most, 0..=highest);
    (
        account(),
        any::<u32>(),
        place(),
        amounts,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            move |(account, generation, place, (size, fee), reduce_only, amend)| Order {
                account,
                generation,
                place,
                instrument: row.id,
                side,
                size,
                limit: if side == Side::Long { highest } else { 0 },
                max_fee_per_lot: fee,
                expiry: 1_800_000_000,
                reduce_only,
                amend: amend && !place.is_nonce(),
            },
        )
}

/// A size of the row, its bounds among them.
pub fn size(row: MarketRow) -> impl Strategy<Value = u64> {
    prop_oneof![Just(1), 1..=row.max_size, Just(row.max_size)]
}

/// A fill of the row anywhere in its bounds.
pub fn fill(row: MarketRow) -> impl Strategy<Value = Fill> {
    let price = prop_oneof![
        Just(row.min_fill),
        row.min_fill..=row.max_fill,
        Just(row.max_fill)
    ];
    let fee = || prop_oneof![Just(0), any::<u64>(), Just(u64::MAX)];
    (
        order(row, Side::Long),
        order(row, Side::Short),
        size(row),
        price,
        (fee(), fee()),
    )
        .prop_map(move |(long, short, size, price, fees)| {
            // At most what the order signs, and the mark.
            let fee = |wanted: u64, order: &Order| wanted.min(order.max_fee_per_lot).min(row.mark);
            let (long_fee, short_fee) = (fee(fees.0, &long), fee(fees.1, &short));
            Fill {
                long,
                short,
                size,
                price,
                long_fee_per_lot: long_fee,
                short_fee_per_lot: short_fee,
            }
        })
}

pub fn liquidation(row: MarketRow) -> impl Strategy<Value = Liquidation> {
    let taker = if row.kind == InstrumentKind::Spot {
        Just(Side::Long).boxed()
    } else {
        side().boxed()
    };
    let taker = taker.prop_flat_map(move |side| order(row, side));
    (
        taker,
        size(row),
        0..=row.penalty,
        any::<u64>(),
        980u32..1000,
    )
        .prop_map(move |(order, size, charge, part, flagged_at)| {
            let age = 1000u32.saturating_sub(flagged_at);
            let open = open_discount(charge, age, 16);
            Liquidation {
                account: other_than(order.account),
                order,
                size,
                charge,
                discount: part % open + 1,
                flagged_at,
            }
        })
}

pub fn unwind(row: MarketRow) -> impl Strategy<Value = Unwind> {
    let order = side().prop_flat_map(move |side| order(row, side));
    (order, size(row), any::<u64>()).prop_map(move |(order, size, part)| {
        let open = open_discount(row.penalty, 10, 16);
        Unwind {
            order,
            size,
            discount: part % open + 1,
        }
    })
}

/// Another account of the same half.
pub fn other_than(account: AccountId) -> AccountId {
    let next = account.0 + 1;
    AccountId(if next >= FIRST_SUB_ACCOUNT {
        FIRST_USER_ACCOUNT
    } else {
        next
    })
}

pub fn absorption(rows: [MarketRow; 2]) -> impl Strategy<Value = Absorption> {
    let [perpetual, spot] = rows;
    (
        account(),
        side(),
        size(perpetual),
        size(spot),
        1u64..1 << 56,
        0usize..16,
    )
        .prop_map(move |(account, side, lots, owned, debt, at)| {
            let mut holdings = [Holding::default(); 16];
            let sizes = [(perpetual.id, side, lots), (spot.id, Side::Long, owned)];
            for (offset, (instrument, side, size)) in sizes.into_iter().enumerate() {
                if let Some(holding) = holdings.get_mut(at.saturating_add(offset) % 16) {
                    let size = crate::journal::signed_lots(side, size);
                    *holding = Holding { instrument, size };
                }
            }
            Absorption {
                account,
                holdings,
                debt,
            }
        })
}

fn receiver(to: AccountId) -> impl Strategy<Value = Receiver> {
    let kind = prop_oneof![Just(AccountKind::Cross), Just(AccountKind::Isolated)];
    prop_oneof![
        Just(Receiver::Anyone),
        owner().prop_map(Receiver::SameOwner),
        (any::<u32>(), any::<u32>()).prop_map(move |(generation, nonce)| {
            Receiver::Accepts(Accept {
                account: to,
                generation,
                nonce,
                transfer: crate::hash::EMPTY,
            })
        }),
        (owner(), keys(), kind).prop_map(|(owner, keys, kind)| Receiver::New { owner, keys, kind }),
    ]
}

pub fn transfer(domain: Domain, rows: [MarketRow; 2]) -> impl Strategy<Value = TransferEntry> {
    let [perpetual, spot] = rows;
    let moved = prop_oneof![
        (1u64..1 << 56).prop_map(|amount| (CASH, false, amount)),
        (size(perpetual), any::<bool>()).prop_map(move |(size, short)| (PERPETUAL, short, size)),
        size(spot).prop_map(move |size| (SPOT, false, size)),
    ];
    let to = (FIRST_SUB_ACCOUNT..1 << ACCOUNT_DEPTH).prop_map(AccountId);
    let ends = (account(), to).prop_flat_map(|(from, to)| (Just(from), Just(to), receiver(to)));
    (ends, moved, any::<u32>(), any::<u32>()).prop_map(
        move |((account, to, receiver), (instrument, short, amount), generation, nonce)| {
            let receiver = match receiver {
                Receiver::Anyone if instrument != CASH => Receiver::SameOwner(Owner::default()),
                receiver => receiver,
            };
            let terms = receiver.aux().digest();
            let message = Transfer {
                account,
                generation,
                nonce,
                to,
                instrument,
                short,
                amount,
                terms,
            };
            let receiver = match receiver {
                Receiver::Accepts(accept) => Receiver::Accepts(Accept {
                    transfer: message.digest(&domain),
                    ..accept
                }),
                receiver => receiver,
            };
            TransferEntry { message, receiver }
        },
    )
}

pub fn withdraw(spot: MarketRow) -> impl Strategy<Value = WithdrawEntry> {
    let paid = prop_oneof![
        (1u64..1 << 56).prop_map(|amount| (CASH, amount)),
        size(spot).prop_map(move |size| (SPOT, size)),
    ];
    (account(), paid, owner(), any::<u32>(), any::<u32>()).prop_map(
        |(account, (instrument, amount), owner, generation, nonce)| {
            let least = 0;
            let message = Withdraw {
                account,
                generation,
                nonce,
                instrument,
                amount,
                least,
            };
            WithdrawEntry { message, owner }
        },
    )
}

fn small(domain: Domain, rows: [MarketRow; 2]) -> BoxedStrategy<Entry> {
    let [_, spot] = rows;
    let message = || (account(), any::<u32>(), any::<u32>());
    prop_oneof![
        transfer(domain, rows).prop_map(|entry| Entry::Transfer(Box::new(entry))),
        withdraw(spot).prop_map(Entry::Withdraw),
        (message(), keys()).prop_map(|((account, generation, nonce), keys)| {
            Entry::KeyChange(KeyChange {
                account,
                generation,
                nonce,
                keys,
            })
        }),
        message().prop_map(|(account, generation, nonce)| {
            Entry::CancelAll(CancelAll {
                account,
                generation,
                nonce,
            })
        }),
        (account(), any::<u32>(), 0u8..64, 1u32..).prop_map(
            |(account, generation, slot, sequence)| {
                Entry::Cancel(Cancel {
                    account,
                    generation,
                    slot,
                    sequence,
                })
            }
        ),
        account().prop_map(|account| Entry::Flag(Flag { account })),
        (1u64..1 << 56).prop_map(|amount| Entry::FeeWithdraw(FeeWithdraw { amount })),
        (1u32..64, -(1i64 << 56) + 1..1 << 56).prop_map(|(account, amount)| {
            let account = AccountId(account);
            Entry::Sweep(Sweep {
                account,
                amount: if amount == 0 { 1 } else { amount },
            })
        }),
    ]
    .boxed()
}

/// A valid entry of any kind, with what it is valid in.
pub fn case() -> impl Strategy<Value = Case> {
    let rows = (
        market_row(PERPETUAL, InstrumentKind::Perpetual),
        market_row(SPOT, InstrumentKind::Spot),
    );
    rows.prop_flat_map(|(perpetual, spot)| {
        let row = prop_oneof![Just(perpetual), Just(spot)];
        let trades = row.prop_flat_map(|row| {
            prop_oneof![
                fill(row).prop_map(|fill| Entry::Fill(Box::new(fill))),
                liquidation(row).prop_map(|entry| Entry::Liquidation(Box::new(entry))),
                unwind(row).prop_map(|entry| Entry::Unwind(Box::new(entry))),
            ]
        });
        let rows = [perpetual, spot];
        let entry = prop_oneof![
            3 => trades,
            1 => absorption(rows).prop_map(|entry| Entry::Absorption(Box::new(entry))),
            3 => small(epoch().domain, rows),
        ];
        (Just(Market::new(rows)), entry)
    })
    .prop_map(|(market, entry)| Case {
        epoch: epoch(),
        market,
        entry,
    })
}
