//! The order: what a trader signs \[S4\], \[J2\].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{ACCOUNT_DEPTH, ORDER_DEPTH, PRICE_BITS, SIZE_BITS, TIME_BITS};
use crate::hash::{Digest, F, unsigned};
use crate::message::{BODY_WORDS, Domain, MessageKind, author, pack};
use crate::posting::Needs;
use crate::types::{AccountId, InstrumentId, Side};

/// Where an order lives: a slot of the account's order tree, or, for a market taker, nowhere: it
/// consumes the account's nonce and its postings follow one another \[S4\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Slot { slot: u8, sequence: u32 },
    Nonce(u32),
}

impl Place {
    /// `Posting::place`: the slot or the nonce.
    pub fn number(self) -> u32 {
        match self {
            Self::Slot { slot, .. } => slot.into(),
            Self::Nonce(nonce) => nonce,
        }
    }

    /// `Posting::sequence`: 0 where the nonce stands for it.
    pub fn sequence(self) -> u32 {
        match self {
            Self::Slot { sequence, .. } => sequence,
            Self::Nonce(_) => 0,
        }
    }

    pub fn is_nonce(self) -> bool {
        matches!(self, Self::Nonce(_))
    }
}

/// A signed offer to trade up to `size` lots at `limit` or better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub account: AccountId,
    pub generation: u32,
    pub place: Place,
    pub instrument: InstrumentId,
    pub side: Side,
    /// Lots over the order's life, > 0.
    pub size: u64,
    /// Micro-quote per lot: the highest price for a long, the lowest for a short.
    pub limit: u64,
    /// Micro-quote per lot.
    pub max_fee_per_lot: u64,
    /// Last second of validity.
    pub expiry: u64,
    /// |size| of the account's holding may not grow or flip \[L3\].
    pub reduce_only: bool,
    /// A higher sequence in the slot carries `filled` over \[S4\].
    pub amend: bool,
}

/// Flags in the order's second element, above 2^32.
pub mod order_flags {
    pub const SHORT: u32 = 1;
    pub const REDUCE_ONLY: u32 = 2;
    pub const AMEND: u32 = 4;
    pub const BY_NONCE: u32 = 8;
    pub const BITS: u32 = 4;
}

impl Order {
    /// The message's body. Elements that hold one number each are injective as they are; the two
    /// packed ones because ids are below 2^28 and flags below 2^4.
    pub fn body(&self) -> [F; BODY_WORDS] {
        [
            author(self.account, self.generation),
            pack(self.flags(), self.place.number()),
            unsigned(self.place.sequence().into()),
            unsigned(self.instrument.0.into()),
            unsigned(self.size),
            unsigned(self.limit),
            unsigned(self.max_fee_per_lot),
            unsigned(self.expiry),
        ]
    }

    pub fn digest(&self, domain: &Domain) -> Digest {
        domain.digest(MessageKind::Order, &self.body())
    }

    pub fn flags(&self) -> u32 {
        let bit = |set: bool, flag: u32| if set { flag } else { 0 };
        bit(self.side == Side::Short, order_flags::SHORT)
            | bit(self.reduce_only, order_flags::REDUCE_ONLY)
            | bit(self.amend, order_flags::AMEND)
            | bit(self.place.is_nonce(), order_flags::BY_NONCE)
    }

    /// What the ledger checks for any posting that this order authorises.
    pub fn needs(&self) -> Needs {
        let bit = |set: bool, needs: Needs| if set { needs } else { Needs::default() };
        Needs::ORDER
            | Needs::TRADING_KEY
            | bit(self.place.is_nonce(), Needs::NONCE)
            | bit(self.reduce_only, Needs::REDUCE_ONLY)
            | bit(self.amend, Needs::AMEND)
    }

    /// \[S4\], \[S5\] Every number fits its element and names something that can exist.
    pub fn check(&self) -> Result<(), OrderError> {
        if self.account.0 >> ACCOUNT_DEPTH != 0 {
            return Err(OrderError::Account(self.account));
        }
        match self.place {
            Place::Slot { slot, .. } if u32::from(slot) >> ORDER_DEPTH != 0 => {
                return Err(OrderError::Slot(slot));
            }
            Place::Slot { sequence: 0, .. } => return Err(OrderError::Sequence),
            Place::Nonce(_) if self.amend => return Err(OrderError::AmendsNothing),
            _ => {}
        }
        if self.size == 0 || self.size >> SIZE_BITS != 0 {
            return Err(OrderError::Size(self.size));
        }
        if self.limit >> PRICE_BITS != 0 {
            return Err(OrderError::Limit(self.limit));
        }
        if self.max_fee_per_lot >> PRICE_BITS != 0 {
            return Err(OrderError::Fee(self.max_fee_per_lot));
        }
        if self.expiry >> TIME_BITS != 0 {
            return Err(OrderError::Expiry(self.expiry));
        }
        Ok(())
    }
}

/// An order that no signature can make valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    #[error("[S3] account {0:?} is outside the tree of depth {ACCOUNT_DEPTH}")]
    Account(AccountId),
    #[error("[S4] order slot {0} is outside the order tree of depth {ORDER_DEPTH}")]
    Slot(u8),
    #[error("[S4] sequence 0 is the empty slot's")]
    Sequence,
    #[error("[S4] an order by nonce has nothing to amend")]
    AmendsNothing,
    #[error("[N3] order size {0} is not between 1 and 2^{SIZE_BITS} - 1 lots")]
    Size(u64),
    #[error("[N2] limit {0} has more than {PRICE_BITS} bits")]
    Limit(u64),
    #[error("[N2] fee per lot {0} has more than {PRICE_BITS} bits")]
    Fee(u64),
    #[error("[J2] expiry {0} has more than {TIME_BITS} bits")]
    Expiry(u64),
}

impl OrderError {
    /// Stable name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Account(_) => "S3.account",
            Self::Slot(_) => "S4.slot",
            Self::Sequence => "S4.sequence",
            Self::AmendsNothing => "S4.amend",
            Self::Size(_) => "N3.size",
            Self::Limit(_) => "N2.limit",
            Self::Fee(_) => "N2.fee",
            Self::Expiry(_) => "J2.expiry",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            account: AccountId(1024),
            generation: 7,
            place: Place::Slot {
                slot: 3,
                sequence: 9,
            },
            instrument: InstrumentId(5),
            side: Side::Long,
            size: 10,
            limit: 1_000_000,
            max_fee_per_lot: 500,
            expiry: 1_700_000_000,
            reduce_only: false,
            amend: false,
        }
    }

    #[test]
    fn s5_every_field_of_an_order_moves_its_digest() {
        let domain = Domain::default();
        let base = order();
        let changes: [fn(&mut Order); 12] = [
            |o| o.account = AccountId(1025),
            |o| o.generation = 8,
            |o| {
                o.place = Place::Slot {
                    slot: 4,
                    sequence: 9,
                }
            },
            |o| {
                o.place = Place::Slot {
                    slot: 3,
                    sequence: 10,
                }
            },
            |o| o.place = Place::Nonce(3),
            |o| o.instrument = InstrumentId(6),
            |o| o.side = Side::Short,
            |o| o.size = 11,
            |o| o.limit = 1_000_001,
            |o| o.max_fee_per_lot = 501,
            |o| o.expiry = 1_700_000_001,
            |o| (o.reduce_only, o.amend) = (true, false),
        ];
        let mut seen = vec![base.digest(&domain)];
        for change in changes {
            let mut changed = base.clone();
            change(&mut changed);
            let digest = changed.digest(&domain);
            assert!(!seen.contains(&digest), "{changed:?}");
            seen.push(digest);
        }
    }

    #[test]
    fn each_clause_refuses_an_order_that_breaks_it() {
        type Case = (fn(&mut Order), &'static str);
        let cases: [Case; 10] = [
            (|o| o.account = AccountId(1 << ACCOUNT_DEPTH), "S3.account"),
            (
                |o| {
                    o.place = Place::Slot {
                        slot: 64,
                        sequence: 0,
                    }
                },
                "S4.slot",
            ),
            (
                |o| {
                    o.place = Place::Slot {
                        slot: 3,
                        sequence: 0,
                    }
                },
                "S4.sequence",
            ),
            (|o| (o.place, o.amend) = (Place::Nonce(1), true), "S4.amend"),
            (|o| o.size = 0, "N3.size"),
            (|o| o.size = 1 << SIZE_BITS, "N3.size"),
            (|o| o.limit = 1 << PRICE_BITS, "N2.limit"),
            (|o| o.max_fee_per_lot = 1 << PRICE_BITS, "N2.fee"),
            (|o| o.expiry = 1 << TIME_BITS, "J2.expiry"),
            (|_| {}, ""),
        ];
        for (change, code) in cases {
            let mut changed = order();
            change(&mut changed);
            assert_eq!(changed.check().err().map_or("", |e| e.code()), code);
        }
    }
}
