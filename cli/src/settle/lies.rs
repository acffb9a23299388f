//! What must be refused, tried against the contract and verifier at hand: each with a named error,
//! and nothing changed by it.

mod bytes;

use std::collections::BTreeMap;

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use tally_l1::abi::{Batch, Settlement};
use tally_l1::dev::DevChain;
use tally_l1::{BatchBytes, Call, ClientError, Contract, Position, Settler};

use crate::settle::SettleError;

/// r of BN254, least significant limb first.
const R: [u64; 4] = [
    0x43e1_f593_f000_0001,
    0x2833_e848_79b9_7091,
    0xb850_45b6_8181_585d,
    0x3064_4e72_e131_a029,
];
/// Places of a proof in which a bit is flipped, evenly spread, the first and last byte among them.
const FLIPS: usize = 16;
const WORD_BYTES: usize = 32;

/// How often each lie was told, with the error that refused it.
#[derive(Clone, Debug, Default)]
pub struct Lies {
    pub told: BTreeMap<&'static str, &'static str>,
    /// Of the batch before.
    earlier: Option<(Batch, Bytes)>,
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
        let mut last_of_other = last.clone();
        last_of_other.round += 1;
        let commit = |last: &Batch, content: [u64; 4], data: Vec<u8>| Settlement::commitCall {
            last: last.clone(),
            content,
            data: data.into(),
        };
        for lie in bytes::of(batch) {
            let call = commit(&last, lie.content, lie.data);
            self.refused(settler, lie.name, lie.error, call).await?;
        }
        let call = commit(&last_of_other, batch.content, batch.bytes.to_vec());
        self.refused(settler, "an invented last batch", "UnknownBatch", call)
            .await?;
        for (name, other) in bytes::without_proof(batch)? {
            self.unproven(settler, name, &other, proof).await?;
        }
        Ok(())
    }

    /// Bytes that the contract takes, since only the proof tells them from the batch's.
    async fn unproven(
        &mut self,
        settler: &mut Settler,
        lie: &'static str,
        other: &BatchBytes,
        proof: &Bytes,
    ) -> Result<(), SettleError> {
        let (committed, _) = settler.commit(other).await?;
        let call = prove(&committed, proof.clone());
        self.refused(settler, lie, "ProofRefused", call).await?;
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
        for flip in 0..FLIPS {
            let mut flipped = proof.to_vec();
            flipped[flip * (proof.len() - 1) / (FLIPS - 1)] ^= 1 << (flip % 8);
            let call = prove(batch, flipped.into());
            self.refused(settler, "a bit-flipped proof", "ProofRefused", call)
                .await?;
        }
        for (lie, length) in [
            ("no proof", 0),
            ("a shorter proof", proof.len() - WORD_BYTES),
        ] {
            let call = prove(batch, proof.slice(..length));
            self.refused(settler, lie, "ProofRefused", call).await?;
        }
        if let Some((earlier, others)) = self.earlier.replace((batch.clone(), proof.clone())) {
            let call = prove(batch, others.clone());
            self.refused(settler, "another batch's proof", "ProofRefused", call)
                .await?;
            let call = prove(&earlier, others);
            self.refused(settler, "a proof twice", "OutOfOrder", call)
                .await?;
        }
        for number in 0..batch.instances.len() {
            let mut shifted = batch.clone();
            shifted.instances[number] += U256::from_limbs(R);
            let call = prove(&shifted, proof.clone());
            self.refused(settler, "x + r", "UnknownBatch", call).await?;
        }
        let mut later = batch.clone();
        later.number += 1;
        let call = prove(&later, proof.clone());
        self.refused(settler, "a proof out of order", "OutOfOrder", call)
            .await?;
        let call = execute(batch, Bytes::new());
        self.refused(settler, "execution without proof", "NotProven", call)
            .await
    }

    /// Withdrawals that are not the proven batch's.
    pub async fn of_withdrawals(
        &mut self,
        settler: &mut Settler,
        batch: &Batch,
        withdrawals: &Bytes,
    ) -> Result<(), SettleError> {
        const MISMATCH: &str = "WithdrawalsMismatch";
        if !withdrawals.is_empty() {
            let twice = [&withdrawals[..], &withdrawals[..]].concat();
            let call = execute(batch, twice.into());
            self.refused(settler, "a withdrawal twice", MISMATCH, call)
                .await?;
            let mut more = withdrawals.to_vec();
            let last = more.len() - 1;
            more[last] ^= 1;
            let call = execute(batch, more.into());
            self.refused(settler, "another amount withdrawn", MISMATCH, call)
                .await?;
            let call = execute(batch, Bytes::new());
            self.refused(settler, "a withdrawal withheld", MISMATCH, call)
                .await?;
        }
        let mut later = batch.clone();
        later.number += 1;
        let call = execute(&later, withdrawals.clone());
        self.refused(settler, "an execution out of order", "OutOfOrder", call)
            .await
    }

    /// What is executed already.
    pub async fn of_execution(
        &mut self,
        settler: &mut Settler,
        batch: &Batch,
        withdrawals: &Bytes,
    ) -> Result<(), SettleError> {
        let call = execute(batch, withdrawals.clone());
        self.refused(settler, "an execution twice", "OutOfOrder", call)
            .await
    }

    /// A credit of which all is pulled.
    pub async fn of_pull(
        &mut self,
        contract: &Contract,
        dev: &DevChain,
        (asset, owner): (u32, Address),
    ) -> Result<(), SettleError> {
        let before = contract.position().await?;
        let call = Settlement::pullCall {
            asset,
            lots: 1,
            to: owner,
        };
        let input = call.abi_encode().into();
        let answer = dev.send_as(owner, contract.address, input).await;
        let told = ("a credit pulled twice", "NothingOwed");
        self.judge(contract, before, told, answer.map(drop)).await
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
        let answer = settler.operator.send(lie, call).await.map(drop);
        let told = (lie, expected);
        self.judge(&settler.contract, before, told, answer).await
    }

    /// The error that is meant for it, and the contract where it was.
    async fn judge(
        &mut self,
        contract: &Contract,
        before: Position,
        (lie, expected): (&'static str, &'static str),
        answer: Result<(), ClientError>,
    ) -> Result<(), SettleError> {
        let got = match answer {
            Err(error) if error.revert().is_some_and(|revert| revert.name == expected) => None,
            Err(error) => Some(error.to_string()),
            Ok(()) => Some("taken".into()),
        };
        let after = contract.position().await?;
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

fn execute(batch: &Batch, withdrawals: Bytes) -> Settlement::executeCall {
    Settlement::executeCall {
        batch: batch.clone(),
        withdrawals,
    }
}
