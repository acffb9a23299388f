//! Flag \[Q1\]: by anyone, of an account that the ledger finds liquidatable.

use serde::{Deserialize, Serialize};

use crate::entry::Effects;
use crate::journal::{TermsError, check_user};
use crate::posting::{Needs, Posting, PostingKind};
use crate::types::AccountId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    pub account: AccountId,
}

impl Flag {
    pub fn check(&self) -> Result<(), TermsError> {
        check_user(self.account)
    }

    pub fn effects(&self) -> Result<Effects, TermsError> {
        self.check()?;
        Ok(Effects::of(vec![self.posting().into()]))
    }

    pub(crate) fn posting(&self) -> Posting {
        Posting {
            needs: Needs::FLAG | Needs::WHILE_FLAGGED,
            ..Posting::blank(PostingKind::Flag, self.account)
        }
    }
}

/// Asked for on L1 by anyone.
pub(crate) fn requested(account: AccountId) -> Effects {
    Effects::of(vec![Flag { account }.posting().needing(Needs::SOLE).into()])
}
