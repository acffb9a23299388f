//! Withdrawal \[J3\]: from an account to the asset's bridge, with one L1 record for its L1 owner.
//! The signed kind pays exactly its amount, L1's own kind at most its amount \[J4\].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::Owner;
use crate::entry::{Effects, EpochTerms, Opened, Terms, Withdrawal};
use crate::instrument::InstrumentKind;
use crate::journal::refusal::asset;
use crate::journal::{
    TermsError, bridge, check_amount, check_size, check_user, insurance_cash, listed,
};
use crate::message::Withdraw;
use crate::posting::{Needs, Posting, PostingKind};
use crate::terms::{Aux, CASH, LeafTerms};
use crate::types::{AccountId, InstrumentId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawEntry {
    pub message: Withdraw,
    /// The account's L1 owner, the ledger's to check.
    pub owner: Owner,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WithdrawError {
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error("[J3] instrument {0} is not an asset that L1 holds")]
    NotAnAsset(u32),
    #[error("[Q6] pays {paid}, the account signs for at least {least}")]
    Haircut { paid: u64, least: u64 },
}

impl WithdrawError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terms(error) => error.code(),
            Self::NotAnAsset(_) => "J3.asset",
            Self::Haircut { .. } => "Q6.least",
        }
    }
}

impl EpochTerms {
    /// \[Q6\] ⌊amount·(vault − deficit)/vault⌋ while there is a deficit, in insurance's favour. The
    /// only product of two totals here: 56 + 60 bits, limbs in the circuit \[N5\].
    pub fn payout(&self, amount: u64) -> u64 {
        if self.deficit == 0 {
            return amount;
        }
        let kept = u128::from(self.vault.saturating_sub(self.deficit));
        let paid = kept
            .saturating_mul(amount.into())
            .checked_div(self.vault.into());
        // At most the amount; an empty vault pays nothing.
        u64::try_from(paid.unwrap_or(0)).unwrap_or(0)
    }
}

/// \[J3\] The asset behind what is withdrawn or deposited, its amount checked \[N3\].
pub(crate) fn asset_of(
    terms: &Terms,
    instrument: InstrumentId,
    amount: u64,
) -> Result<u32, WithdrawError> {
    if instrument == CASH {
        check_amount(amount)?;
        return Ok(0);
    }
    let row = listed(terms, instrument)?;
    check_size(amount, row)?;
    if row.kind != InstrumentKind::Spot {
        return Err(WithdrawError::NotAnAsset(instrument.0));
    }
    Ok(row.asset)
}

/// What moves when an account pays `amount`: its posting (as the caller authorises it) with the
/// owner's name, the bridge's, and of quote money what the haircut leaves to insurance \[Q6\].
pub(crate) fn pay_out(
    terms: &Terms,
    posting: Posting,
    owner: Owner,
    (asset, amount): (u32, u64),
) -> Effects {
    // Amounts are below 2^56.
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let instrument = posting.instrument;
    let posting = posting.needing(Needs::OUTFLOW | Needs::OWNER);
    let (posting, paid) = if instrument == CASH {
        let delta_cash = signed(amount).saturating_neg();
        (
            Posting {
                delta_cash,
                ..posting
            },
            terms.epoch.payout(amount),
        )
    } else {
        let delta_size = signed(amount).saturating_neg();
        (
            Posting {
                delta_size,
                ..posting
            }
            .needing(Needs::REDUCE_ONLY),
            amount,
        )
    };
    let aux = Aux::Leaf(LeafTerms::owned_by(owner));
    let mut postings = vec![
        Opened::new(posting, aux),
        bridge(asset, instrument, signed(paid)),
    ];
    if instrument == CASH && terms.epoch.deficit > 0 {
        let rest = signed(amount.saturating_sub(paid));
        postings.push(insurance_cash(PostingKind::Bridge, rest));
    }
    let withdrawals = vec![Withdrawal {
        owner,
        asset,
        amount: paid,
    }];
    Effects {
        withdrawals,
        ..Effects::of(postings)
    }
}

impl WithdrawEntry {
    /// The asset that is paid.
    pub fn check(&self, terms: &Terms) -> Result<u32, WithdrawError> {
        let message = &self.message;
        check_user(message.account)?;
        let asset = asset_of(terms, message.instrument, message.amount)?;
        let paid = match message.instrument {
            CASH => terms.epoch.payout(message.amount),
            _ => message.amount,
        };
        if paid < message.least {
            return Err(WithdrawError::Haircut {
                paid,
                least: message.least,
            });
        }
        Ok(asset)
    }

    pub fn effects(&self, terms: &Terms) -> Result<Effects, WithdrawError> {
        let asset = self.check(terms)?;
        let message = &self.message;
        let posting = Posting {
            instrument: message.instrument,
            digest: message.digest(&terms.epoch.domain),
            place: message.nonce,
            generation: message.generation,
            needs: Needs::NONCE,
            ..Posting::blank(PostingKind::Withdraw, message.account)
        };
        Ok(pay_out(terms, posting, self.owner, (asset, message.amount)))
    }
}

/// Asked for on L1 by the owner: of at most `asked`, `paid` \[J4\].
pub(crate) fn requested(
    terms: &Terms,
    (sender, account): (Owner, AccountId),
    instrument: InstrumentId,
    (asked, paid): (u64, u64),
) -> Effects {
    let posting = Posting {
        instrument,
        order_size: asked,
        needs: Needs::SOLE | Needs::AT_MOST,
        ..Posting::blank(PostingKind::Withdraw, account)
    };
    pay_out(terms, posting, sender, (asset(instrument), paid))
}
