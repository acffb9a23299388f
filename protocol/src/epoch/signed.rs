//! Entries with the signatures that they need \[S5\].
//!
//! Only the ledger knows which messages are new \[L3\]: a resting order was signed for when it
//! entered its slot, a second fill by nonce shares the first one's signature. So a builder asks for
//! a signature when the accounts have been run, and refuses the entry, leaving no trace of it,
//! where there is none or a bad one.

use std::collections::BTreeMap;

use plonky2::field::types::PrimeField64;

use crate::entry::{Effects, Entry};
use crate::epoch::{EpochBuilder, EpochError};
use crate::hash::Digest;
use crate::message::SignatureRequest;
use crate::signature::{Signature, SignedRequest};
use crate::types::AccountId;

/// Where a builder finds who signed what.
pub trait Signatures {
    /// Whether the account's trading key signed in place of its own \[S2\].
    fn by_trading_key(&self, account: AccountId, message: Digest) -> bool;

    fn signature(&self, account: AccountId, request: &SignatureRequest) -> Option<Signature>;
}

/// No message is signed.
impl Signatures for () {
    fn by_trading_key(&self, _: AccountId, _: Digest) -> bool {
        false
    }

    fn signature(&self, _: AccountId, _: &SignatureRequest) -> Option<Signature> {
        None
    }
}

/// Signatures that came with messages, by account and digest.
#[derive(Clone, Debug, Default)]
pub struct SignaturePool(BTreeMap<MessageId, (bool, Signature)>);

/// A message by its author and digest.
pub(super) type MessageId = (AccountId, [u64; 4]);

impl SignaturePool {
    pub fn insert(
        &mut self,
        account: AccountId,
        message: Digest,
        by_trading_key: bool,
        signature: Signature,
    ) {
        let id = message_id(account, message);
        self.0.insert(id, (by_trading_key, signature));
    }
}

impl Signatures for SignaturePool {
    fn by_trading_key(&self, account: AccountId, message: Digest) -> bool {
        let found = self.0.get(&message_id(account, message));
        found.is_some_and(|(by_trading_key, _)| *by_trading_key)
    }

    fn signature(&self, account: AccountId, request: &SignatureRequest) -> Option<Signature> {
        let found = self.0.get(&message_id(account, request.digest));
        found.map(|(_, signature)| *signature)
    }
}

impl EpochBuilder<'_> {
    /// The per-order rule, and every message that the entry brings in is signed \[S5\].
    pub fn submit(
        &mut self,
        entry: Entry,
        signatures: &dyn Signatures,
    ) -> Result<Effects, EpochError> {
        self.push_checked(entry, signatures, |account, request| {
            let unsigned = EpochError::Unsigned { account };
            let signature = signatures.signature(account, request).ok_or(unsigned)?;
            let request = *request;
            let signed = SignedRequest { request, signature };
            let checked = signed.verify();
            checked.map_err(|error| EpochError::Signature { account, error })?;
            Ok(Some(signature))
        })
    }

    /// As `submit`, for a caller that verified each signature when the message came in: a batch is
    /// cheaper. What is missing stays missing, and the epoch cannot be proven.
    pub fn push_signed(
        &mut self,
        entry: Entry,
        signatures: &dyn Signatures,
    ) -> Result<Effects, EpochError> {
        self.push_checked(entry, signatures, |account, request| {
            Ok(signatures.signature(account, request))
        })
    }
}

pub(super) fn message_id(account: AccountId, message: Digest) -> MessageId {
    let words = message.elements.map(|word| word.to_canonical_u64());
    (account, words)
}
