//! `tally verify`: batch proofs from their files alone, against this release's pinned key.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use tally_circuits::batch::{BatchFile, Verifier, VerifyError, verify_chain};
use tally_circuits::uniform::Uniform;
use tally_protocol::data::BatchStatement;
use tally_prover::release;
use thiserror::Error;

use crate::state_file::show;

#[derive(Debug, Error)]
pub enum CheckError {
    #[error("{}: [file.unreadable] {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: [{}] {source}", path.display(), source.code())]
    Refused { path: PathBuf, source: VerifyError },
}

/// What the files together prove.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verified {
    pub proofs: usize,
    pub chain_id: u64,
    pub contract: String,
    pub first_epoch: u64,
    pub last_epoch: u64,
    /// Of the last epoch; seconds since 1970.
    pub round: u64,
    pub time: u64,
    pub state_before: String,
    pub state_after: String,
}

pub fn run(files: &[PathBuf]) -> Result<Verified, CheckError> {
    let refused = |path: &PathBuf, source| CheckError::Refused {
        path: path.clone(),
        source,
    };
    let mut parsed = Vec::new();
    for path in files {
        let bytes = fs::read(path).map_err(|source| CheckError::Read {
            path: path.clone(),
            source,
        })?;
        parsed.push(BatchFile::parse(&bytes).map_err(|error| refused(path, error.into()))?);
    }
    // Seconds of work, so only for files that are proof files.
    let verifier = Verifier::new(Uniform::production(), release::batch_digest());
    let mut statements: Vec<BatchStatement> = Vec::new();
    for (path, file) in files.iter().zip(&parsed) {
        let verified = verifier.verify(file);
        statements.push(verified.map_err(|source| refused(path, source))?);
    }
    verify_chain(&statements).map_err(|source| {
        let broken = broken_at(&source).and_then(|file| files.get(file));
        let path = broken.cloned().unwrap_or_default();
        CheckError::Refused { path, source }
    })?;
    let (Some(first), Some(last)) = (statements.first(), statements.last()) else {
        return Ok(Verified::default());
    };
    Ok(Verified {
        proofs: statements.len(),
        chain_id: first.chain_id,
        contract: format!("0x{}", hex::encode(first.contract_bytes())),
        first_epoch: first.first_epoch,
        last_epoch: last.last_epoch,
        round: last.round,
        time: last.time,
        state_before: show(first.state_before),
        state_after: show(last.state_after),
    })
}

/// Which file does not follow the one before it.
fn broken_at(error: &VerifyError) -> Option<usize> {
    match error {
        VerifyError::Domain { file }
        | VerifyError::Epoch { file, .. }
        | VerifyError::State { file } => Some(*file),
        _ => None,
    }
}
