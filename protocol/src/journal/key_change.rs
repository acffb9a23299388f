//! Key change \[S4\], \[S5\]: new keys and a new generation, which ends every order. The main key
//! signs, or the L1 owner asks through the queue \[J4\].

use crate::account::{Keys, Owner};
use crate::entry::{Effects, Opened, Terms};
use crate::journal::{TermsError, check_user};
use crate::message::KeyChange;
use crate::posting::{Needs, Posting, PostingKind};
use crate::terms::{Aux, LeafTerms};
use crate::types::AccountId;

pub fn check(change: &KeyChange) -> Result<(), TermsError> {
    check_user(change.account)
}

pub fn effects(change: &KeyChange, terms: &Terms) -> Result<Effects, TermsError> {
    check(change)?;
    let posting = Posting {
        digest: change.digest(&terms.epoch.domain),
        place: change.nonce,
        generation: change.generation,
        needs: Needs::NONCE,
        ..Posting::blank(PostingKind::KeyChange, change.account)
    };
    Ok(Effects::of(vec![set_keys(
        posting,
        LeafTerms::default(),
        change.keys,
    )]))
}

/// A posting that sets the keys, with whatever else the caller's terms say of the leaf.
pub(crate) fn set_keys(posting: Posting, terms: LeafTerms, keys: Keys) -> Opened {
    let terms = LeafTerms {
        keys: keys.digest(),
        ..terms
    };
    let posting = posting.needing(Needs::SET_KEYS | Needs::WHILE_FLAGGED);
    Opened {
        keys,
        ..Opened::new(posting, Aux::Leaf(terms))
    }
}

/// Asked for on L1 by the owner.
pub(crate) fn requested(sender: Owner, account: AccountId, keys: Keys) -> Effects {
    let needs = Needs::OWNER | Needs::SOLE;
    let posting = Posting {
        needs,
        ..Posting::blank(PostingKind::KeyChange, account)
    };
    Effects::of(vec![set_keys(posting, LeafTerms::owned_by(sender), keys)])
}
