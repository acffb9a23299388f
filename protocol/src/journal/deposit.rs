//! Deposit \[J3\]: from the asset's bridge account to a user's, for one L1 item; it creates the
//! account that L1 has numbered for it \[S3\]. Cash may come from anyone, lots only from the leaf's
//! L1 owner.

use crate::entry::{Effects, Opened};
use crate::journal::bridge;
use crate::journal::refusal::{asset, owned_lots};
use crate::posting::{Needs, Posting, PostingKind};
use crate::queue::Deposit;
use crate::terms::{Aux, CASH, LeafTerms};

/// The item has no fault: its amount is in [N3]'s bounds and its row takes lots.
pub(crate) fn effects(deposit: &Deposit) -> Effects {
    let amount = owned_lots(deposit.amount);
    let needs = Needs::SOLE | Needs::WHILE_FLAGGED | Needs::DEPOSIT;
    let blank = Posting {
        needs,
        ..Posting::blank(PostingKind::Deposit, deposit.account)
    };
    let posting = if deposit.instrument == CASH {
        Posting {
            delta_cash: amount,
            ..blank
        }
    } else {
        Posting {
            instrument: deposit.instrument,
            delta_size: amount,
            ..blank
        }
    };
    let opened = match &deposit.create {
        Some(new) => {
            let terms = LeafTerms {
                owner: deposit.sender,
                keys: new.keys.digest(),
                kind: new.kind(),
            };
            let posting = posting.needing(Needs::CREATE);
            Opened {
                keys: new.keys,
                ..Opened::new(posting, Aux::Leaf(terms))
            }
        }
        None if deposit.instrument == CASH => posting.into(),
        None => {
            let aux = Aux::Leaf(LeafTerms::owned_by(deposit.sender));
            Opened::new(posting.needing(Needs::OWNER), aux)
        }
    };
    let bridge = bridge(
        asset(deposit.instrument),
        deposit.instrument,
        amount.saturating_neg(),
    );
    Effects::of(vec![opened, bridge])
}
