//! Cancels \[S4\]: of one order slot, by a higher sequence with nothing to fill, and of all orders,
//! by a new generation. Either key signs; a flagged account may \[Q2\].

use thiserror::Error;

use crate::account::Owner;
use crate::bounds::ORDER_DEPTH;
use crate::entry::{Effects, Opened, Terms};
use crate::journal::{TermsError, check_user};
use crate::message::{Cancel, CancelAll};
use crate::posting::{Needs, Posting, PostingKind};
use crate::terms::{Aux, LeafTerms};
use crate::types::AccountId;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CancelError {
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error("[S4] order slot {0} is outside the order tree of depth {ORDER_DEPTH}")]
    Slot(u8),
    #[error("[S4] sequence 0 is the empty slot's")]
    Sequence,
}

impl CancelError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terms(error) => error.code(),
            Self::Slot(_) => "S4.slot",
            Self::Sequence => "S4.sequence",
        }
    }
}

pub fn effects(cancel: &CancelAll, terms: &Terms) -> Result<Effects, CancelError> {
    check_user(cancel.account)?;
    let posting = Posting {
        digest: cancel.digest(&terms.epoch.domain),
        place: cancel.nonce,
        generation: cancel.generation,
        needs: Needs::NONCE | Needs::TRADING_KEY | Needs::CANCEL_ALL | Needs::WHILE_FLAGGED,
        ..Posting::blank(PostingKind::CancelAll, cancel.account)
    };
    Ok(Effects::of(vec![posting.into()]))
}

pub fn check_cancel(cancel: &Cancel) -> Result<(), CancelError> {
    check_user(cancel.account)?;
    if u32::from(cancel.slot) >> ORDER_DEPTH != 0 {
        return Err(CancelError::Slot(cancel.slot));
    }
    if cancel.sequence == 0 {
        return Err(CancelError::Sequence);
    }
    Ok(())
}

/// An order of no lots: it takes the slot at its sequence, and nothing can fill it.
pub fn cancel_effects(cancel: &Cancel, terms: &Terms) -> Result<Effects, CancelError> {
    check_cancel(cancel)?;
    let posting = Posting {
        digest: cancel.digest(&terms.epoch.domain),
        place: cancel.slot.into(),
        sequence: cancel.sequence,
        generation: cancel.generation,
        needs: Needs::ORDER | Needs::TRADING_KEY | Needs::WHILE_FLAGGED,
        ..Posting::blank(PostingKind::Cancel, cancel.account)
    };
    Ok(Effects::of(vec![posting.into()]))
}

/// Asked for on L1 by the owner.
pub(crate) fn requested(sender: Owner, account: AccountId) -> Effects {
    let posting = Posting {
        needs: Needs::OWNER | Needs::SOLE | Needs::CANCEL_ALL | Needs::WHILE_FLAGGED,
        ..Posting::blank(PostingKind::CancelAll, account)
    };
    let aux = Aux::Leaf(LeafTerms::owned_by(sender));
    Effects::of(vec![Opened::new(posting, aux)])
}
