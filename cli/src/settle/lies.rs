//! What must be refused, tried against the contract and verifier at hand: each with a named error,
//! and nothing changed by it.

use std::collections::BTreeMap;

use alloy::primitives::{Bytes, U256};
use alloy::sol_types::SolCall;
use tally_l1::abi::{Batch, Settlement};
use tally_l1::{BatchBytes, Call, Settler};
use tally_protocol::data::{ELEMENT_BYTES, STATEMENT_WORDS};

use crate::settle::SettleError;

/// r of BN254, least significant limb first.
const R: [u64; 4] = [
    0x43e1_f593_f000_0001,
    0x2833_e848_79b9_7091,
    0xb850_45b6_8181_585d,
    0x3064_4e72_e131_a029,
];
/// The statement's first half of the state root before, and its count of words.
const ROOT_WORD: usize = 14;
const COUNT_WORD: usize = 1;

/// How often each lie was told, with the error that refused it.
#[derive(Clone, Debug, Default)]
pub struct Lies {
    pub told: BTreeMap<&'static str, &'static str>,
    /// Of the batch before.
    earlier: Option<Bytes>,
}

impl Lies {
    /// Bytes that do not follow the last batch, and bytes that the proof is not about.
    pub async fn of_bytes(
        &mut self,
        settler: &mut Settler,
        batch: &BatchBytes,
        proof: &Bytes,
    ) -> Result<(), SettleError> {
        let position = settler.contract.position().await?;
        let (last, _) = settler.contract.batch(position.committed).await?;
        let commit = |data: Vec<u8>| Settlement::commitCall {
            last: last.clone(),
            content: batch.content,
            data: data.into(),
        };
        let flipped = |word: usize| {
            let mut bytes = batch.bytes.to_vec();
            bytes[word * ELEMENT_BYTES + ELEMENT_BYTES - 1] ^= 1;
            bytes
        };
        let stale = commit(flipped(ROOT_WORD));
        self.refused(settler, "a stale root", "StaleRoot", stale)
            .await?;
        let count = commit(flipped(COUNT_WORD));
        self.refused(settler, "another length", "WordCount", count)
            .await?;
        let whole = batch.bytes.len();
        let shorter = commit(batch.bytes[..whole - ELEMENT_BYTES].to_vec());
        self.refused(settler, "shorter bytes", "WordCount", shorter)
            .await?;
        let longer = commit([&batch.bytes[..], &[0]].concat());
        self.refused(settler, "longer bytes", "DataLength", longer)
            .await?;
        // The header's digest: the contract takes it, so only the proof is in the way.
        let altered = flipped(STATEMENT_WORDS - 2);
        self.altered(settler, altered, batch, proof).await
    }

    async fn altered(
        &mut self,
        settler: &mut Settler,
        altered: Vec<u8>,
        batch: &BatchBytes,
        proof: &Bytes,
    ) -> Result<(), SettleError> {
        let differs = |error| SettleError::Differs {
            rule: "lie",
            reason: format!("altered bytes: {error}"),
        };
        let altered = BatchBytes::read(altered, batch.content).map_err(differs)?;
        let (committed, _) = settler.commit(&altered).await?;
        let call = prove(&committed, proof.clone());
        self.refused(settler, "altered bytes", "ProofRefused", call)
            .await?;
        settler.revert().await?;
        Ok(())
    }

    /// Proofs that are not the committed batch's.
    pub async fn of_proofs(
        &mut self,
        settler: &mut Settler,
        batch: &Batch,
        proof: &Bytes,
    ) -> Result<(), SettleError> {
        for place in [0, proof.len() / 2, proof.len() - 1] {
            let mut flipped = proof.to_vec();
            flipped[place] ^= 1;
            let call = prove(batch, flipped.into());
            self.refused(settler, "a bit-flipped proof", "ProofRefused", call)
                .await?;
        }
        if let Some(earlier) = self.earlier.replace(proof.clone()) {
            let call = prove(batch, earlier);
            self.refused(settler, "another batch's proof", "ProofRefused", call)
                .await?;
        }
        let mut shifted = batch.clone();
        shifted.instances[0] += U256::from_limbs(R);
        let call = prove(&shifted, proof.clone());
        self.refused(settler, "x + r", "UnknownBatch", call).await?;
        let none = Settlement::executeCall {
            batch: batch.clone(),
            withdrawals: Bytes::new(),
        };
        self.refused(settler, "execution without proof", "NotProven", none)
            .await
    }

    /// What is executed already.
    pub async fn of_execution(
        &mut self,
        settler: &mut Settler,
        batch: &Batch,
        withdrawals: &Bytes,
    ) -> Result<(), SettleError> {
        let call = Settlement::executeCall {
            batch: batch.clone(),
            withdrawals: withdrawals.clone(),
        };
        self.refused(settler, "an execution twice", "OutOfOrder", call)
            .await
    }

    async fn refused<C: SolCall>(
        &mut self,
        settler: &mut Settler,
        lie: &'static str,
        expected: &'static str,
        call: C,
    ) -> Result<(), SettleError> {
        let before = settler.contract.position().await?;
        let call = Call {
            to: Some(settler.contract.address),
            input: call.abi_encode().into(),
        };
        let answer = settler.operator.send(lie, call).await;
        let got = match answer {
            Err(error) if error.revert().is_some_and(|revert| revert.name == expected) => None,
            Err(error) => Some(error.to_string()),
            Ok(_) => Some("taken".into()),
        };
        let after = settler.contract.position().await?;
        match got {
            None if after == before => {
                self.told.insert(lie, expected);
                Ok(())
            }
            got => Err(SettleError::Differs {
                rule: "lie",
                reason: format!("{lie}: {}, not {expected}", got.unwrap_or("changed".into())),
            }),
        }
    }
}

fn prove(batch: &Batch, proof: Bytes) -> Settlement::proveCall {
    Settlement::proveCall {
        batch: batch.clone(),
        proof,
    }
}
