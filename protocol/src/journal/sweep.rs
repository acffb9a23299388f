//! Sweep \[S6\]: the cash of an insurance account that holds no lots any more goes to insurance 0,
//! so that no equity is hidden from \[Q6\] (docs/decisions.md, D15). The ledger demands it at
//! close; it is bookkeeping within the system, so an epoch that skips rounds may hold it.

use serde::{Deserialize, Serialize};

use crate::bounds::POSTING_CASH_BITS;
use crate::entry::{Effects, Opened, Terms};
use crate::journal::{TermsError, insurance_cash};
use crate::posting::{Needs, Posting, PostingKind};
use crate::types::AccountId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// An insurance account but 0.
    pub account: AccountId,
    /// What leaves it, micro-quote, signed: a debt moves like a credit.
    pub amount: i64,
}

impl Sweep {
    /// All of an account's cash, or as much as one posting holds.
    pub fn of(account: AccountId, cash: i64) -> Self {
        let most = (1i64 << POSTING_CASH_BITS).saturating_sub(1);
        let amount = cash.clamp(most.saturating_neg(), most);
        Self { account, amount }
    }

    pub fn effects(&self, _: &Terms) -> Result<Effects, TermsError> {
        if !self.account.is_insurance() || self.account.0 == 0 {
            return Err(TermsError::System(self.account));
        }
        let amount = self.amount;
        if amount == 0 || amount.unsigned_abs() >> POSTING_CASH_BITS != 0 {
            return Err(TermsError::Cash(amount.into()));
        }
        let from = Posting {
            delta_cash: amount.saturating_neg(),
            needs: Needs::SYSTEM,
            ..Posting::blank(PostingKind::Unwound, self.account)
        };
        let to = insurance_cash(PostingKind::Unwound, amount);
        Ok(Effects::of(vec![Opened::from(from), to]))
    }
}
