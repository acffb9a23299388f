//! Unwind \[Q7\]: insurance offers a row's inventory to a signed order, at a discount that opens as
//! a liquidation's does, from the epoch since which the inventory has not grown.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::UNWIND_COST_BITS;
use crate::entry::{Effects, Terms};
use crate::instrument::MarketRow;
use crate::journal::liquidation::taker_offset;
use crate::journal::{
    TermsError, check_expiry, check_fills, check_limit, check_order, check_size, discount_opens,
    insurance_place, open_row, posting_cash, signed_lots, spot_needs, trade_cash,
};
use crate::order::Order;
use crate::posting::{Needs, Posting, PostingKind};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwind {
    /// The taker's: its side is that of the inventory.
    pub order: Order,
    /// Lots.
    pub size: u64,
    /// Micro-quote per lot that the taker gains against the mark.
    pub discount: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnwindError {
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error(
        "[Q7] a discount of {discount} a lot, at age {age} of {epochs} of a penalty of {penalty}"
    )]
    Discount {
        discount: u64,
        penalty: u64,
        age: u32,
        epochs: u32,
    },
    #[error("[Q7] a discount of {amount} in all is not below 2^{UNWIND_COST_BITS}")]
    Cost { amount: u64 },
    #[error("[Q7] a discount of {amount} in all, from an equity of {budget}")]
    Budget { amount: u64, budget: u64 },
}

impl UnwindError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terms(error) => error.code(),
            Self::Discount { .. } => "Q7.discount",
            Self::Cost { .. } => "Q7.cost",
            Self::Budget { .. } => "Q7.budget",
        }
    }
}

impl Unwind {
    /// The row and the taker's Δcash; insurance's is the opposite.
    pub fn check<'a>(&self, terms: &Terms<'a>) -> Result<(&'a MarketRow, i64), UnwindError> {
        check_order(&self.order)?;
        check_fills(terms)?;
        let row = open_row(terms, self.order.instrument)?;
        check_expiry(&self.order, terms.epoch.time)?;
        check_size(self.size, row)?;
        let offset = taker_offset(self.order.side, self.discount);
        check_limit(&self.order, offset.saturating_add(row.mark.into()))?;
        let (discount, penalty) = (self.discount, row.penalty);
        // insurance_since is at most this epoch.
        let age = terms.epoch.epoch.saturating_sub(row.insurance_since);
        let epochs = terms.epoch.auction_epochs;
        if !discount_opens(discount, penalty, age, epochs) {
            return Err(UnwindError::Discount {
                discount,
                penalty,
                age,
                epochs,
            });
        }
        let (amount, budget) = (self.cost(), terms.epoch.unwind_budget);
        // More of an inventory is offered in several unwinds (docs/decisions.md, D31).
        if amount >> UNWIND_COST_BITS != 0 {
            return Err(UnwindError::Cost { amount });
        }
        if amount > budget {
            return Err(UnwindError::Budget { amount, budget });
        }
        let cash = trade_cash(row, signed_lots(self.order.side, self.size), offset);
        Ok((row, posting_cash(cash)?))
    }

    /// What insurance gives up: size · discount < 2^55, since discount ≤ penalty ≤ M.
    pub fn cost(&self) -> u64 {
        self.size.saturating_mul(self.discount)
    }

    pub fn effects(&self, terms: &Terms) -> Result<Effects, UnwindError> {
        let (row, delta_cash) = self.check(terms)?;
        let delta_size = signed_lots(self.order.side, self.size);
        let taker = Posting {
            instrument: row.id,
            delta_size,
            delta_cash,
            needs: Needs::MAY_GROW | Needs::ORDINARY | spot_needs(row, delta_size),
            ..Posting::blank(PostingKind::LiquidationTaker, self.order.account)
        };
        // REDUCE_ONLY against the inventory: insurance offers what it has, and no more.
        let (account, place) = insurance_place(row);
        let insurance = Posting {
            instrument: row.id,
            delta_size: delta_size.saturating_neg(),
            delta_cash: delta_cash.saturating_neg(),
            place,
            needs: Needs::SYSTEM | Needs::FIXED_SLOT | Needs::REDUCE_ONLY,
            ..Posting::blank(PostingKind::Unwound, account)
        };
        let postings = vec![taker.by_order(&self.order, terms).into(), insurance.into()];
        Ok(Effects {
            discount: self.cost(),
            ..Effects::of(postings)
        })
    }
}
