//! The agents' secret keys, and the signatures that an epoch asks of them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tally_protocol::account::PublicKey;
use tally_protocol::epoch::Signatures;
use tally_protocol::hash::Digest;
use tally_protocol::message::SignatureRequest;
use tally_protocol::signature::{SecretKey, Signature};
use tally_protocol::types::AccountId;

use crate::market::agents::Agent;

/// A replay's keys come from its seed, which is no secret: they are for simulations alone.
const DOMAIN: &str = "simulated";

/// Every key that its owner ever had: a message of new keys is signed by the old one.
#[derive(Clone, Debug, Default)]
pub struct Wallet {
    secrets: Vec<SecretKey>,
}

impl Wallet {
    pub fn new_key(&mut self, rng: &mut ChaCha8Rng) -> PublicKey {
        let key = simulated_key(rng);
        let public = key.public();
        self.secrets.push(key);
        public
    }

    /// `None` where another key is asked for.
    pub fn sign(&self, request: &SignatureRequest) -> Option<Signature> {
        let mut newest_first = self.secrets.iter().rev();
        let key = newest_first.find(|secret| secret.public() == request.key)?;
        Some(key.sign(request.digest))
    }
}

pub fn simulated_key(rng: &mut ChaCha8Rng) -> SecretKey {
    let material: [u64; 5] = core::array::from_fn(|_| rng.gen_range(1..1 << 62));
    SecretKey::derive(DOMAIN, &material.map(u64::to_le_bytes).concat())
}

/// All agents', by rising id. Who has a trading key signs orders and cancels with it.
#[derive(Clone, Copy, Debug)]
pub struct Wallets<'a>(pub &'a [Agent]);

impl Wallets<'_> {
    fn agent(&self, account: AccountId) -> Option<&Agent> {
        let place = self.0.binary_search_by_key(&account, |agent| agent.id);
        self.0.get(place.ok()?)
    }
}

impl Signatures for Wallets<'_> {
    fn by_trading_key(&self, account: AccountId, _: Digest) -> bool {
        let agent = self.agent(account);
        agent.is_some_and(|agent| agent.keys.trading_key != PublicKey::default())
    }

    fn signature(&self, account: AccountId, request: &SignatureRequest) -> Option<Signature> {
        self.agent(account)?.wallet.sign(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use tally_protocol::signature::verify;

    #[test]
    fn s5_a_wallet_signs_for_each_key_that_it_had() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut wallet, mut other) = (Wallet::default(), Wallet::default());
        let digest = Digest::default();
        let keys = [wallet.new_key(&mut rng), wallet.new_key(&mut rng)];
        for key in keys {
            let signature = wallet.sign(&SignatureRequest { key, digest }).unwrap();
            assert_eq!(verify(&key, digest, &signature), Ok(()));
        }
        let key = other.new_key(&mut rng);
        assert_eq!(wallet.sign(&SignatureRequest { key, digest }), None);
    }
}
