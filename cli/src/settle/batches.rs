//! A replay's batches, from its directory.

use std::fs;
use std::path::{Path, PathBuf};

use alloy::primitives::U256;
use plonky2::field::types::PrimeField64;
use serde::Deserialize;
use tally_circuits::batch::{BatchCircuit, BatchFile};
use tally_circuits::uniform::{Proof, Uniform, VerifierKey, read_proof};
use tally_l1::BatchBytes;

use crate::settle::SettleError;

const PROOF: &str = "proof";
/// Three numbers of 32 bytes in front of a proof for L1.
pub const INSTANCE_BYTES: usize = 96;

/// A batch with its proof where it was proven.
pub struct Batch {
    pub path: PathBuf,
    pub bytes: BatchBytes,
    pub proof: Option<(VerifierKey, Proof)>,
}

/// What the replay says beside its batches.
#[derive(Debug, Deserialize)]
pub struct ReplayFacts {
    pub genesis_time: u64,
    pub state_root: String,
    pub batches: u64,
}

pub fn facts(dir: &Path) -> Result<ReplayFacts, SettleError> {
    let path = dir.join("summary.json");
    let bytes = read(&path)?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(&path, error.to_string()))
}

/// batch-NNNNNN.proof, else .data, from 0 on; proofs where the first one has one.
pub fn load(dir: &Path) -> Result<Vec<Batch>, SettleError> {
    let kinds = [PROOF, "data"];
    let of = |number: usize, kind: &str| dir.join(format!("batch-{number:06}.{kind}"));
    let kind = kinds.into_iter().find(|kind| of(0, kind).is_file());
    let Some(kind) = kind else {
        let path = dir.to_path_buf();
        return Err(SettleError::NoBatches { path });
    };
    let paths = (0..)
        .map(|number| of(number, kind))
        .take_while(|path| path.is_file());
    paths.map(one).collect()
}

/// Where a batch's proof for L1 is kept, beside its own file: instances, then the proof.
pub fn wrapped_path(batch: &Path) -> PathBuf {
    batch.with_extension("wrapped")
}

/// C, from the instances in front of a proof for L1; zeros without one: nobody checks it then.
fn content_of(kept: &[u8]) -> [u64; 4] {
    let Some((first, _)) = kept.split_first_chunk::<INSTANCE_BYTES>() else {
        return [0; 4];
    };
    let number = |at: usize| U256::from_be_slice(&first[32 * at..32 * (at + 1)]).into_limbs();
    let ([c0, c1, c2, _], [c3, ..]) = (number(0), number(1));
    [c0, c1, c2, c3]
}

/// A batch from its file, `.proof` or data alone. Without a Plonky2 proof, C is what the proof for
/// L1 says.
pub fn one(path: PathBuf) -> Result<Batch, SettleError> {
    let bytes = read(&path)?;
    let (bytes, content, proof) = match path.extension().is_some_and(|kind| kind == PROOF) {
        false => {
            let kept = fs::read(wrapped_path(&path)).unwrap_or_default();
            (bytes, content_of(&kept), None)
        }
        true => {
            let file = BatchFile::parse(&bytes)
                .map_err(|error| unreadable(&path, format!("[{}] {error}", error.code())))?;
            let common = BatchCircuit::common(Uniform::production());
            let proof = read_proof(&file.proof, &common)
                .map_err(|error| unreadable(&path, error.to_string()))?;
            // C is the first of the public inputs, z and y follow.
            let [c0, c1, c2, c3, ..] = proof.public_inputs[..] else {
                return Err(unreadable(&path, "no public inputs".into()));
            };
            let content = [c0, c1, c2, c3].map(|word| word.to_canonical_u64());
            (file.data, content, Some((file.key, proof)))
        }
    };
    let bytes = BatchBytes::read(bytes, content).map_err(|source| SettleError::Data {
        path: path.clone(),
        source,
    })?;
    Ok(Batch { path, bytes, proof })
}

fn read(path: &Path) -> Result<Vec<u8>, SettleError> {
    fs::read(path).map_err(|error| unreadable(path, error.to_string()))
}

fn unreadable(path: &Path, reason: String) -> SettleError {
    let path = path.to_path_buf();
    SettleError::Unreadable { path, reason }
}
