//! Who said so: order slots, nonces, generations, keys and the signatures to ask for \[S4\],
//! \[L3\].

use crate::account::PublicKey;
use crate::ledger::apply::leaf_terms;
use crate::ledger::{Env, Facts, LedgerError, Running, Taker};
use crate::message::SignatureRequest;
use crate::orders::{OrderClaim, fill};
use crate::posting::{Needs, Posting};

impl Running {
    pub(super) fn authorise(
        &mut self,
        posting: &Posting,
        facts: &Facts,
        env: &Env<'_>,
    ) -> Result<Option<SignatureRequest>, LedgerError> {
        let needs = posting.needs;
        // Postings of an order by nonce follow one another: anything between them ends it.
        let open = self.done.taker.take();
        if !needs.has_any(Needs::ORDER | Needs::NONCE) {
            return Ok(None);
        }
        let (named, held) = (posting.generation, self.rest.generation);
        if named != held {
            return Err(LedgerError::Generation { named, held });
        }
        let is_new = if needs.has(Needs::NONCE) {
            self.use_nonce(posting, open)?
        } else {
            self.use_order(posting, env)?
        };
        if !is_new {
            return Ok(None);
        }
        let key = self.signing_key(posting, facts)?;
        Ok(Some(SignatureRequest {
            key,
            digest: posting.digest,
        }))
    }

    /// \[S4\] By slot and sequence.
    fn use_order(&mut self, posting: &Posting, env: &Env<'_>) -> Result<bool, LedgerError> {
        let claim = OrderClaim {
            place: posting.place,
            sequence: posting.sequence,
            hash: posting.digest,
            size: posting.order_size,
            lots: posting.delta_size.unsigned_abs(),
            amend: posting.needs.has(Needs::AMEND),
        };
        let step = self.order_slot(claim.place, env.orders).step(&claim)?;
        self.orders.insert(claim.place, step.after);
        Ok(step.is_new)
    }

    /// \[S4\] By nonce: consumed once, then shared by an order's next postings up to its size.
    fn use_nonce(&mut self, posting: &Posting, open: Option<Taker>) -> Result<bool, LedgerError> {
        let (nonce, digest) = (posting.place, posting.digest);
        let is_order = posting.needs.has(Needs::ORDER);
        let open = open.filter(|t| is_order && t.nonce == nonce && t.digest == digest);
        let is_new = open.is_none();
        if is_new {
            let held = self.rest.nonce;
            if nonce != held {
                return Err(LedgerError::Nonce { named: nonce, held });
            }
            self.rest.nonce = held.checked_add(1).ok_or(LedgerError::Exhausted)?;
        }
        if is_order {
            let lots = posting.delta_size.unsigned_abs();
            let filled = fill(open.map_or(0, |t| t.filled), lots, posting.order_size)?;
            self.done.taker = Some(Taker {
                nonce,
                digest,
                filled,
            });
        }
        Ok(is_new)
    }

    /// \[S2\] The account's own key, or for orders and cancels the trading key; zeros sign nothing.
    fn signing_key(&self, posting: &Posting, facts: &Facts) -> Result<PublicKey, LedgerError> {
        let keys = &self.rest.keys;
        let key = if facts.by_trading_key {
            if !posting.needs.has(Needs::TRADING_KEY) {
                return Err(LedgerError::TradingKey);
            }
            keys.trading_key
        } else {
            keys.key
        };
        if key == PublicKey::default() {
            return Err(LedgerError::NoKey);
        }
        Ok(key)
    }

    /// \[S4\] Key change and cancel-all bump the generation, which ends every order before it.
    pub(super) fn change_keys(
        &mut self,
        posting: &Posting,
        facts: &Facts,
    ) -> Result<(), LedgerError> {
        let sets = posting.needs.has(Needs::SET_KEYS);
        if sets {
            if facts.keys.digest() != leaf_terms(facts)?.keys {
                return Err(LedgerError::Aux);
            }
            self.rest.keys = facts.keys;
        }
        if sets || posting.needs.has(Needs::CANCEL_ALL) {
            let next = self.rest.generation.checked_add(1);
            self.rest.generation = next.ok_or(LedgerError::Exhausted)?;
        }
        Ok(())
    }
}
