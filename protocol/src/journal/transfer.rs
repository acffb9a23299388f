//! Transfer \[J3\]: cash to anyone; instruments to an account of the same L1 owner or with the
//! receiver's signature. A transfer may create the sub-account that it pays into \[S3\].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{AccountKind, Keys, Owner};
use crate::entry::{Effects, Opened, Terms};
use crate::hash::Digest;
use crate::instrument::InstrumentKind;
use crate::instrument::flags;
use crate::journal::{
    FIRST_SUB_ACCOUNT, TermsError, check_amount, check_size, check_user, listed, signed_lots,
};
use crate::message::{Accept, Transfer};
use crate::posting::{Needs, Posting, PostingKind};
use crate::terms::{Aux, LeafTerms};
use crate::types::{AccountId, Side};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferEntry {
    pub message: Transfer,
    pub receiver: Receiver,
}

/// What the receiving account has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receiver {
    /// Any account: cash only.
    Anyone,
    /// One of this L1 owner, who is the sender's too.
    SameOwner(Owner),
    /// One whose key signs for it.
    Accepts(Accept),
    /// A sub-account that does not exist yet, of the sender's L1 owner.
    New {
        owner: Owner,
        keys: Keys,
        kind: AccountKind,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransferError {
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error("[J3] instrument {0} is a spot asset, which is not held short")]
    SpotShort(u32),
    #[error("[J3] account {} is sender and receiver", .0.0)]
    SelfTransfer(AccountId),
    #[error("[J3] cash has no side")]
    CashSide,
    #[error("[J3] an instrument comes from another owner without the receiver's signature")]
    Dusting,
    #[error("[S3] sub-account {} is not in the upper half of the tree", .0.0)]
    LowerHalf(AccountId),
    #[error("[S3] a user cannot create a system account")]
    Kind,
    #[error("[J3] the sender signed other terms of the receiving account")]
    Receiver { signed: Digest, given: Digest },
    #[error("[J3] the receiver signed for another transfer or account")]
    Accept,
}

impl TransferError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terms(error) => error.code(),
            Self::SelfTransfer(_) => "J3.self",
            Self::CashSide => "J3.cash_side",
            Self::SpotShort(_) => "J3.spot_short",
            Self::Dusting => "J3.dusting",
            Self::LowerHalf(_) => "S3.lower_half",
            Self::Kind => "S3.kind",
            Self::Receiver { .. } => "J3.receiver",
            Self::Accept => "J3.accept",
        }
    }
}

impl Receiver {
    /// The `aux` of both postings; its digest is in the signed message.
    pub fn aux(&self) -> Aux {
        match self {
            Self::Anyone | Self::Accepts(_) => Aux::None,
            Self::SameOwner(owner) => Aux::Leaf(LeafTerms::owned_by(*owner)),
            Self::New { owner, keys, kind } => Aux::Leaf(LeafTerms {
                owner: *owner,
                keys: keys.digest(),
                kind: *kind,
            }),
        }
    }
}

impl TransferEntry {
    pub fn check(&self, terms: &Terms) -> Result<(), TransferError> {
        let message = &self.message;
        check_user(message.account)?;
        check_user(message.to)?;
        self.check_moved(terms)?;
        if message.account == message.to {
            return Err(TransferError::SelfTransfer(message.to));
        }
        if message.is_cash() && message.short {
            return Err(TransferError::CashSide);
        }
        if !message.is_cash() && self.receiver == Receiver::Anyone {
            return Err(TransferError::Dusting);
        }
        if let Receiver::New { kind, .. } = self.receiver {
            if message.to.0 < FIRST_SUB_ACCOUNT {
                return Err(TransferError::LowerHalf(message.to));
            }
            if kind == AccountKind::System {
                return Err(TransferError::Kind);
            }
        }
        let (signed, given) = (message.terms, self.receiver.aux().digest());
        if signed != given {
            return Err(TransferError::Receiver { signed, given });
        }
        match self.receiver {
            Receiver::Accepts(accept)
                if accept.account != message.to
                    || accept.transfer != message.digest(&terms.epoch.domain) =>
            {
                Err(TransferError::Accept)
            }
            _ => Ok(()),
        }
    }

    /// \[N3\] The amount's bounds, and a row whose lots can be held on that side. A halted or
    /// clamped row's lots move to whom they reduce \[T6\]; the sender closes by the whole mark
    /// \[L4\].
    fn check_moved(&self, terms: &Terms) -> Result<(), TransferError> {
        let message = &self.message;
        if message.is_cash() {
            return Ok(check_amount(message.amount)?);
        }
        let row = listed(terms, message.instrument)?;
        if row.flags & flags::SETTLED != 0 {
            return Err(TermsError::Settled(row.id).into());
        }
        check_size(message.amount, row)?;
        if row.kind == InstrumentKind::Spot && message.short {
            return Err(TransferError::SpotShort(row.id.0));
        }
        Ok(())
    }

    pub fn effects(&self, terms: &Terms) -> Result<Effects, TransferError> {
        self.check(terms)?;
        let message = &self.message;
        let (mut keys, mut needs_out, mut needs_in) =
            (Keys::default(), Needs::default(), Needs::default());
        match self.receiver {
            Receiver::Anyone => {}
            Receiver::SameOwner(_) => (needs_out, needs_in) = (Needs::OWNER, Needs::OWNER),
            Receiver::Accepts(_) => needs_in = Needs::NONCE,
            Receiver::New { keys: new, .. } => {
                (keys, needs_out, needs_in) = (new, Needs::OWNER, Needs::CREATE);
            }
        }
        let out = self.moved(PostingKind::TransferOut, message.account, true);
        let out = Posting {
            digest: message.digest(&terms.epoch.domain),
            place: message.nonce,
            generation: message.generation,
            ..out.needing(Needs::NONCE | Needs::OUTFLOW | needs_out)
        };
        let mut into = self
            .moved(PostingKind::TransferIn, message.to, false)
            .needing(needs_in);
        if let Receiver::Accepts(accept) = self.receiver {
            into.digest = accept.digest(&terms.epoch.domain);
            into.place = accept.nonce;
            into.generation = accept.generation;
        }
        let aux = self.receiver.aux();
        let into = Opened {
            keys,
            ..Opened::new(into, aux)
        };
        Ok(Effects::of(vec![Opened::new(out, aux), into]))
    }

    /// One end of the transfer. The sender has the lots it sends: its end only reduces.
    fn moved(&self, kind: PostingKind, account: AccountId, out: bool) -> Posting {
        let message = &self.message;
        let side = if message.short {
            Side::Short
        } else {
            Side::Long
        };
        let amount = signed_lots(side, message.amount);
        let delta = if out { amount.saturating_neg() } else { amount };
        let blank = Posting::blank(kind, account);
        if message.is_cash() {
            return Posting {
                delta_cash: delta,
                ..blank
            };
        }
        let needs = if out {
            Needs::REDUCE_ONLY
        } else {
            Needs::default()
        };
        Posting {
            instrument: message.instrument,
            delta_size: delta,
            needs,
            ..blank
        }
    }
}
