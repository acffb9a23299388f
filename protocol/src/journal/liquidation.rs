//! Liquidation \[Q2\] to \[Q4\]: a flagged account's lots go to a signed order at a price that the
//! mark, the account's equity and the age of its flag determine.
//!
//! The account trades at mark ∓ charge, the taker at mark ∓ discount, insurance gets the rest.
//! Prices are per lot, so every amount is one product below 2^56.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::entry::{Effects, Opened, Terms};
use crate::instrument::MarketRow;
use crate::journal::{
    TermsError, check_expiry, check_fills, check_limit, check_order, check_size, check_user,
    discount_opens, insurance_cash, open_row, posting_cash, signed_lots, spot_needs, trade_cash,
};
use crate::order::Order;
use crate::posting::{Needs, Posting, PostingKind};
use crate::queue::Take;
use crate::terms::{Aux, LeafTerms, LiquidationTerms};
use crate::types::{AccountId, Side};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liquidation {
    pub account: AccountId,
    /// The taker's: its side is that of the holding which it takes over.
    pub order: Order,
    /// Lots.
    pub size: u64,
    /// Micro-quote per lot that the account pays: min(penalty, cap) \[Q4\], the ledger's to check.
    pub charge: u64,
    /// Micro-quote per lot that the taker gains against the mark.
    pub discount: u64,
    /// Epoch of the account's flag, the ledger's to check.
    pub flagged_at: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LiquidationError {
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error("[Q2] account {} cannot take its own liquidation", .0.0)]
    SelfTrade(AccountId),
    #[error("[Q2] flagged in epoch {flagged_at}, this is epoch {epoch}")]
    Flag { flagged_at: u32, epoch: u32 },
    #[error("[Q4] a charge of {charge} a lot is above the penalty {penalty}")]
    Charge { charge: u64, penalty: u64 },
    #[error(
        "[Q4] a discount of {discount} a lot, at age {age} of {epochs} of a charge of {charge}"
    )]
    Discount {
        discount: u64,
        charge: u64,
        age: u32,
        epochs: u32,
    },
}

impl LiquidationError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terms(error) => error.code(),
            Self::SelfTrade(_) => "Q2.self",
            Self::Flag { .. } => "Q2.flag",
            Self::Charge { .. } => "Q4.charge",
            Self::Discount { .. } => "Q4.discount",
        }
    }
}

/// What a liquidation of `size` lots moves, for entries and L1 items alike.
#[derive(Clone, Copy, Debug)]
pub struct Trade<'a> {
    pub row: &'a MarketRow,
    pub taker_side: Side,
    pub size: u64,
    pub terms: LiquidationTerms,
    /// Δcash.
    pub account: i64,
    pub taker: i64,
    pub insurance: i64,
}

impl<'a> Trade<'a> {
    /// \[Q2\], \[Q4\] The row is open, the size checked.
    pub fn new(
        terms: &Terms,
        row: &'a MarketRow,
        (taker_side, size): (Side, u64),
        (charge, discount, flagged_at): (u64, u64, u32),
    ) -> Result<Self, LiquidationError> {
        let epoch = terms.epoch.epoch;
        // From the epoch after the flag: 0 < flagged_at < epoch.
        let age = epoch.saturating_sub(flagged_at);
        if flagged_at == 0 || age == 0 {
            return Err(LiquidationError::Flag { flagged_at, epoch });
        }
        let penalty = row.penalty;
        if charge > penalty {
            return Err(LiquidationError::Charge { charge, penalty });
        }
        let epochs = terms.epoch.auction_epochs;
        if !discount_opens(discount, charge, age, epochs) {
            return Err(LiquidationError::Discount {
                discount,
                charge,
                age,
                epochs,
            });
        }
        let delta = signed_lots(taker_side, size);
        let taker = trade_cash(row, delta, taker_offset(taker_side, discount));
        let account = trade_cash(
            row,
            delta.saturating_neg(),
            taker_offset(taker_side, charge),
        );
        // size · (charge − discount), ≥ 0 since discount ≤ charge.
        let insurance = taker.saturating_add(account).saturating_neg();
        Ok(Self {
            row,
            taker_side,
            size,
            terms: LiquidationTerms {
                charge,
                penalty,
                flagged_at,
            },
            account: posting_cash(account)?,
            taker: posting_cash(taker)?,
            insurance: posting_cash(insurance)?,
        })
    }

    /// The account's posting, the taker's as the caller authorises it, insurance's.
    pub fn postings(&self, account: AccountId, needs: Needs, taker: Opened) -> Vec<Opened> {
        let liquidated = Posting {
            instrument: self.row.id,
            delta_size: signed_lots(self.taker_side.opposite(), self.size),
            delta_cash: self.account,
            needs: Needs::LIQUIDATE | Needs::WHILE_FLAGGED | needs,
            ..Posting::blank(PostingKind::Liquidated, account)
        };
        vec![
            Opened::new(liquidated, Aux::Liquidation(self.terms)),
            taker,
            insurance_cash(PostingKind::Penalty, self.insurance),
        ]
    }

    /// The taker's posting but for its authority. It may grow in a reduce_only row \[T6\], and its
    /// account is not being liquidated in this epoch \[Q2\].
    pub fn taker_posting(&self, account: AccountId) -> Posting {
        let delta_size = signed_lots(self.taker_side, self.size);
        Posting {
            instrument: self.row.id,
            delta_size,
            delta_cash: self.taker,
            needs: Needs::MAY_GROW | Needs::ORDINARY | spot_needs(self.row, delta_size),
            ..Posting::blank(PostingKind::LiquidationTaker, account)
        }
    }
}

/// The price's distance from the mark when the taker gains `amount` a lot.
pub(crate) fn taker_offset(taker_side: Side, amount: u64) -> i128 {
    match taker_side {
        Side::Long => i128::from(amount).saturating_neg(),
        Side::Short => amount.into(),
    }
}

impl Liquidation {
    pub fn check<'a>(&self, terms: &Terms<'a>) -> Result<Trade<'a>, LiquidationError> {
        check_user(self.account)?;
        check_order(&self.order)?;
        check_fills(terms)?;
        let row = open_row(terms, self.order.instrument)?;
        check_expiry(&self.order, terms.epoch.time)?;
        check_size(self.size, row)?;
        let offset = taker_offset(self.order.side, self.discount);
        check_limit(&self.order, offset.saturating_add(row.mark.into()))?;
        if self.account == self.order.account {
            return Err(LiquidationError::SelfTrade(self.account));
        }
        Trade::new(
            terms,
            row,
            (self.order.side, self.size),
            (self.charge, self.discount, self.flagged_at),
        )
    }

    pub fn effects(&self, terms: &Terms) -> Result<Effects, LiquidationError> {
        let trade = self.check(terms)?;
        let taker = trade
            .taker_posting(self.order.account)
            .by_order(&self.order, terms);
        Ok(Effects::of(trade.postings(
            self.account,
            Needs::default(),
            taker.into(),
        )))
    }
}

/// \[J4\] A take: the whole discount that is open, so that nobody chooses it. Its terms have no
/// fault.
pub(crate) fn take(
    take: &Take,
    (size, charge, flagged_at): (u64, u64, u32),
    terms: &Terms,
) -> Result<Effects, LiquidationError> {
    check_fills(terms)?;
    let row = open_row(terms, take.instrument)?;
    let age = terms.epoch.epoch.saturating_sub(flagged_at);
    let discount = open_discount(charge, age, terms.epoch.auction_epochs);
    let trade = Trade::new(
        terms,
        row,
        (take.side, size),
        (charge, discount, flagged_at),
    )?;
    let needs = Needs::OWNER | Needs::SOLE;
    let taker = trade.taker_posting(take.taker).needing(needs);
    let taker = Opened::new(taker, Aux::Leaf(LeafTerms::owned_by(take.sender)));
    let mut postings = trade.postings(take.account, Needs::SOLE | Needs::AT_MOST, taker);
    if let Some(liquidated) = postings.first_mut() {
        liquidated.posting.order_size = take.size;
    }
    Ok(Effects::of(postings))
}

/// \[Q4\] ⌊charge·min(age, D)/D⌋, rounded down in insurance's favour; 42 + 16 bits.
pub fn open_discount(charge: u64, age: u32, epochs: u32) -> u64 {
    let due = charge.saturating_mul(age.min(epochs).into());
    due.checked_div(epochs.into()).unwrap_or(0)
}
