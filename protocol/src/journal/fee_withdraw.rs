//! Fee withdrawal \[S6\]: from the fee account to the quote bridge, recorded for the owner that the
//! deployment fixes. Fees stand last: nothing while insurance owes \[Q6\], \[C3\].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::FEE_ACCOUNT;
use crate::entry::{Effects, Terms, Withdrawal};
use crate::journal::{TermsError, bridge, check_amount};
use crate::posting::{Needs, Posting, PostingKind};
use crate::terms::CASH;
use crate::types::AccountId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeWithdraw {
    /// Micro-quote.
    pub amount: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FeeWithdrawError {
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error("[Q6] insurance owes {deficit}: fees stay")]
    Deficit { deficit: u64 },
}

impl FeeWithdrawError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terms(error) => error.code(),
            Self::Deficit { .. } => "Q6.fees",
        }
    }
}

impl FeeWithdraw {
    pub fn check(&self, terms: &Terms) -> Result<(), FeeWithdrawError> {
        check_amount(self.amount)?;
        match terms.epoch.deficit {
            0 => Ok(()),
            deficit => Err(FeeWithdrawError::Deficit { deficit }),
        }
    }

    /// The ledger closes the fee account with cash ≥ 0 \[L4\].
    pub fn effects(&self, terms: &Terms) -> Result<Effects, FeeWithdrawError> {
        self.check(terms)?;
        // Below 2^56.
        let amount = i64::try_from(self.amount).unwrap_or(i64::MAX);
        let fees = Posting {
            delta_cash: amount.saturating_neg(),
            needs: Needs::SYSTEM | Needs::OUTFLOW,
            ..Posting::blank(PostingKind::FeeWithdraw, AccountId(FEE_ACCOUNT))
        };
        let owner = terms.epoch.fee_owner;
        let withdrawals = vec![Withdrawal {
            owner,
            asset: 0,
            amount: self.amount,
        }];
        let postings = vec![fees.into(), bridge(0, CASH, amount)];
        Ok(Effects {
            withdrawals,
            ..Effects::of(postings)
        })
    }
}
