//! Keys of test accounts and reporters, from numbers; all of them sign whatever they are asked to.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use plonky2::field::types::PrimeField64;

use crate::account::PublicKey;
use crate::epoch::EpochTrace;
use crate::message::SignatureRequest;
use crate::signature::{SecretKey, Signature};

/// Every key that was handed out, by its public key.
static KEYS: LazyLock<Mutex<BTreeMap<[u64; 5], SecretKey>>> = LazyLock::new(Mutex::default);

pub fn secret(seed: u64) -> SecretKey {
    let key = SecretKey::derive("tally tests", &seed.to_le_bytes());
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    keys.insert(name(&key.public()), key.clone());
    key
}

pub fn public(seed: u64) -> PublicKey {
    secret(seed).public()
}

/// `None` for a key that is not from here.
pub fn answer(request: &SignatureRequest) -> Option<Signature> {
    let keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = keys.get(&name(&request.key))?;
    Some(key.sign(request.digest))
}

/// Signs what the epoch's messages lack.
pub fn sign(trace: &mut EpochTrace) {
    let accounts = trace.accounts.iter_mut();
    for step in accounts.flat_map(|account| &mut account.postings) {
        let missing = step.request.filter(|_| step.signature.is_none());
        step.signature = step.signature.or(missing.as_ref().and_then(answer));
    }
}

fn name(key: &PublicKey) -> [u64; 5] {
    key.map(|element| element.to_canonical_u64())
}
