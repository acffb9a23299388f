//! Signatures, checked before a command reaches the engine: `Verified` is the proof that they were.
//!
//! A signature is checked against the key that the command names, so no state is needed; the engine
//! refuses a key that is not the account's. A record of the log was verified before it was written,
//! and is not verified again.

use serde::{Deserialize, Serialize};
use tally_protocol::account::PublicKey;
use tally_protocol::hash::Digest;
use tally_protocol::journal::transfer::Receiver;
use tally_protocol::message::{Domain, SignatureRequest};
use tally_protocol::signature::{Signature, SignatureError, SignedRequest, verify_batch};
use tally_protocol::types::AccountId;
use thiserror::Error;

use super::{Auth, Command, MAX_BATCH, Operation, Record};

/// Who signed what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    pub account: AccountId,
    #[serde(with = "tally_protocol::wire")]
    pub digest: Digest,
    #[serde(with = "tally_protocol::wire")]
    pub key: PublicKey,
    pub signature: Signature,
}

/// A record whose signatures hold.
#[derive(Clone, Debug)]
pub struct Verified {
    record: Record,
    /// In the order of the command's messages.
    signers: Vec<Signer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    #[error("account {}: {error}", .account.0)]
    Signature {
        account: AccountId,
        error: SignatureError,
    },
    #[error("[J3] the receiver's signature is missing, or none is asked for")]
    Accept,
    #[error("[B1] a batch of {0} operations, 1 to {MAX_BATCH} are taken")]
    Batch(usize),
}

impl VerifyError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signature { error, .. } => error.code(),
            Self::Accept => "J3.accept",
            Self::Batch(_) => "B1.batch",
        }
    }
}

impl Verified {
    pub fn record(&self) -> &Record {
        &self.record
    }

    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// Out of the log, whose records were verified before they were written.
    pub fn from_log(domain: &Domain, record: Record) -> Result<Self, VerifyError> {
        let signers = signers(domain, &record.command)?;
        Ok(Self { record, signers })
    }

    pub(crate) fn into_parts(self) -> (Record, Vec<Signer>) {
        (self.record, self.signers)
    }
}

impl Signer {
    fn request(&self) -> SignedRequest {
        SignedRequest {
            request: SignatureRequest {
                key: self.key,
                digest: self.digest,
            },
            signature: self.signature,
        }
    }
}

/// One record. Several at once are cheaper: `verify_all`.
pub fn verify(domain: &Domain, record: Record) -> Result<Verified, VerifyError> {
    let verified = Verified::from_log(domain, record)?;
    check(&verified.signers)?;
    Ok(verified)
}

/// Every record for itself, all signatures in one sum where all hold.
pub fn verify_all(domain: &Domain, records: Vec<Record>) -> Vec<Result<Verified, VerifyError>> {
    let parsed: Vec<_> = records
        .into_iter()
        .map(|record| Verified::from_log(domain, record))
        .collect();
    let signers = parsed
        .iter()
        .flatten()
        .flat_map(|verified| &verified.signers);
    let requests: Vec<SignedRequest> = signers.map(Signer::request).collect();
    if verify_batch(&requests).is_ok() {
        return parsed;
    }
    let each = |verified: Result<Verified, VerifyError>| {
        let verified = verified?;
        check(&verified.signers)?;
        Ok(verified)
    };
    parsed.into_iter().map(each).collect()
}

fn check(signers: &[Signer]) -> Result<(), VerifyError> {
    for signer in signers {
        let failed = |error| VerifyError::Signature {
            account: signer.account,
            error,
        };
        signer.request().verify().map_err(failed)?;
    }
    Ok(())
}

fn signers(domain: &Domain, command: &Command) -> Result<Vec<Signer>, VerifyError> {
    let one = |account, digest, auth: &Auth| Signer {
        account,
        digest,
        key: auth.key,
        signature: auth.signature,
    };
    Ok(match command {
        Command::Submit(submit) => {
            let order = &submit.order;
            vec![one(order.account, order.digest(domain), &submit.auth)]
        }
        Command::Batch(operations) => {
            let length = operations.len();
            if !(1..=MAX_BATCH).contains(&length) {
                return Err(VerifyError::Batch(length));
            }
            let of = |operation: &Operation| match operation {
                Operation::Submit(submit) => {
                    let order = &submit.order;
                    one(order.account, order.digest(domain), &submit.auth)
                }
                Operation::Cancel(signed) => {
                    let message = &signed.message;
                    one(message.account, message.digest(domain), &signed.auth)
                }
            };
            operations.iter().map(of).collect()
        }
        Command::Cancel(s) => vec![one(s.message.account, s.message.digest(domain), &s.auth)],
        Command::CancelAll(s) => vec![one(s.message.account, s.message.digest(domain), &s.auth)],
        Command::DeadMan(s) => vec![one(s.message.account, s.message.digest(domain), &s.auth)],
        Command::Withdraw(s) => vec![one(s.message.account, s.message.digest(domain), &s.auth)],
        Command::KeyChange(s) => vec![one(s.message.account, s.message.digest(domain), &s.auth)],
        Command::Transfer(transfer) => {
            let message = &transfer.entry.message;
            let sender = one(message.account, message.digest(domain), &transfer.auth);
            match (transfer.entry.receiver, &transfer.accept) {
                (Receiver::Accepts(accept), Some(auth)) => {
                    vec![sender, one(accept.account, accept.digest(domain), auth)]
                }
                (Receiver::Accepts(_), None) | (_, Some(_)) => return Err(VerifyError::Accept),
                (_, None) => vec![sender],
            }
        }
        Command::Item(_)
        | Command::Round(_)
        | Command::Time
        | Command::CloseEpoch
        | Command::Restarted
        | Command::Proven { .. }
        | Command::Settled { .. }
        | Command::FeeWithdraw { .. } => Vec::new(),
    })
}
