//! The crowd's keys: whoever holds one signs whatever it is asked to.
//!
//! A simulated market holds every secret, so it signs an epoch when it is to be proven: what the
//! ledger asked for is known then, and nothing is signed twice. Deciding to sign is the agents'
//! part; an entry that its author did not want is none that they push.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tally_protocol::account::PublicKey;
use tally_protocol::epoch::EpochTrace;
use tally_protocol::hash::F;
use tally_protocol::message::SignatureRequest;
use tally_protocol::signature::{SecretKey, Signature};

const DOMAIN: &str = "tally simulated market";

/// Every secret that was drawn, by its public key.
static KEYS: LazyLock<Mutex<BTreeMap<[u64; 5], SecretKey>>> = LazyLock::new(Mutex::default);

/// A new key from the seed.
pub fn draw(rng: &mut ChaCha8Rng) -> SecretKey {
    let numbers: [u64; 5] = core::array::from_fn(|_| rng.gen_range(1..1 << 62));
    let material: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let key = SecretKey::derive(DOMAIN, &material);
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    keys.insert(name(&key.public()), key.clone());
    key
}

/// Signs what the epoch's messages ask for.
pub fn sign(trace: &mut EpochTrace) {
    for account in &mut trace.accounts {
        for step in &mut account.postings {
            step.signature = step.request.as_ref().and_then(answer);
        }
    }
}

/// `None` for a key that was not drawn here.
fn answer(request: &SignatureRequest) -> Option<Signature> {
    let keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = keys.get(&name(&request.key))?;
    Some(key.sign(request.digest))
}

fn name(key: &PublicKey) -> [u64; 5] {
    key.map(|element: F| {
        use plonky2::field::types::PrimeField64;
        element.to_canonical_u64()
    })
}
