//! Fill \[J2\]: two orders, one instrument, opposite sides, a price that both accept.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::entry::{Effects, Terms};
use crate::instrument::MarketRow;
use crate::journal::{
    TermsError, check_expiry, check_fills, check_limit, check_order, check_size, open_row,
    posting_cash, signed_lots, spot_needs, trade_cash,
};
use crate::order::Order;
use crate::posting::{Needs, Posting, PostingKind};
use crate::types::{InstrumentId, Side};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    pub long: Order,
    pub short: Order,
    /// Lots.
    pub size: u64,
    /// Micro-quote per lot, as the two fees. Whole micro-quotes a lot, so that a fee is one product
    /// and its bound one comparison.
    pub price: u64,
    pub long_fee_per_lot: u64,
    pub short_fee_per_lot: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FillError {
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error("[J2] the orders are for instruments {} and {}", .long.0, .short.0)]
    Instruments {
        long: InstrumentId,
        short: InstrumentId,
    },
    #[error("[J2] the orders are not a long and a short")]
    Sides,
    #[error("[J2] price {price} is outside of the fill band {min} to {max}")]
    Band { price: u64, min: u64, max: u64 },
    #[error("[J2] a fee of {fee} a lot, the order signs at most {max}")]
    Fee { fee: u64, max: u64 },
    #[error("[N3] a fee of {fee} a lot is above the mark {mark}")]
    FeeBound { fee: u64, mark: u64 },
}

impl FillError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terms(error) => error.code(),
            Self::Instruments { .. } => "J2.instruments",
            Self::Sides => "J2.sides",
            Self::Band { .. } => "J2.band",
            Self::Fee { .. } => "J2.fee",
            Self::FeeBound { .. } => "N3.fee",
        }
    }
}

/// What a checked fill moves.
#[derive(Clone, Copy, Debug)]
pub struct FillCash<'a> {
    pub row: &'a MarketRow,
    /// Δcash of the two accounts, fees taken off.
    pub long: i64,
    pub short: i64,
    /// Both fees.
    pub fee: u64,
}

impl Fill {
    pub fn check<'a>(&self, terms: &Terms<'a>) -> Result<FillCash<'a>, FillError> {
        check_order(&self.long)?;
        check_order(&self.short)?;
        check_fills(terms)?;
        let (long, short) = (self.long.instrument, self.short.instrument);
        if long != short {
            return Err(FillError::Instruments { long, short });
        }
        if (self.long.side, self.short.side) != (Side::Long, Side::Short) {
            return Err(FillError::Sides);
        }
        let row = open_row(terms, long)?;
        check_expiry(&self.long, terms.epoch.time)?;
        check_expiry(&self.short, terms.epoch.time)?;
        check_size(self.size, row)?;
        // Price ≤ max_fill < 2M bounds what follows; `posting_cash` has the last word.
        if self.price < row.min_fill || self.price > row.max_fill {
            let (min, max) = (row.min_fill, row.max_fill);
            return Err(FillError::Band {
                price: self.price,
                min,
                max,
            });
        }
        check_limit(&self.long, self.price.into())?;
        check_limit(&self.short, self.price.into())?;
        let long_fee = self.fee(self.long_fee_per_lot, &self.long, row)?;
        let short_fee = self.fee(self.short_fee_per_lot, &self.short, row)?;
        let offset = i128::from(self.price).saturating_sub(row.mark.into());
        let cash = |side, fee: u64| {
            // max_size · 2M for the trade and max_size · M for the fee: below 2^57 before the
            // check.
            let trade = trade_cash(row, signed_lots(side, self.size), offset);
            posting_cash(trade.saturating_sub(fee.into()))
        };
        Ok(FillCash {
            row,
            long: cash(Side::Long, long_fee)?,
            short: cash(Side::Short, short_fee)?,
            fee: long_fee.saturating_add(short_fee),
        })
    }

    /// 0 ≤ fee ≤ |Δsize|·max_fee_per_lot, with a fee a lot of at most the mark: size · mark < 2^55,
    /// so that no fee wraps.
    fn fee(&self, per_lot: u64, order: &Order, row: &MarketRow) -> Result<u64, FillError> {
        let max = order.max_fee_per_lot;
        if per_lot > max {
            return Err(FillError::Fee { fee: per_lot, max });
        }
        if per_lot > row.mark {
            return Err(FillError::FeeBound {
                fee: per_lot,
                mark: row.mark,
            });
        }
        Ok(self.size.saturating_mul(per_lot))
    }

    pub fn effects(&self, terms: &Terms) -> Result<Effects, FillError> {
        let FillCash {
            row,
            long,
            short,
            fee,
        } = self.check(terms)?;
        let posting = |order: &Order, delta_cash: i64| {
            let delta_size = signed_lots(order.side, self.size);
            Posting {
                instrument: row.id,
                delta_size,
                delta_cash,
                needs: Needs::ORDINARY | spot_needs(row, delta_size),
                ..Posting::blank(PostingKind::Fill, order.account)
            }
            .by_order(order, terms)
        };
        let postings = vec![
            posting(&self.long, long).into(),
            posting(&self.short, short).into(),
        ];
        Ok(Effects {
            fee,
            ..Effects::of(postings)
        })
    }
}
