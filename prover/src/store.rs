//! Finished proofs on disk, found again by what they prove.
//!
//! An address is a hash of the circuit's key and the public inputs that are known before proving,
//! so a stopped run finds what it finished and a job done twice is the same job. A file appears
//! under its name only when it is whole (written beside it, flushed, renamed), and on reading the
//! proof is verified; one that fails is proven again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plonky2::field::types::PrimeField64;
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::plonk::config::Hasher;
use tally_circuits::F;
use tally_circuits::uniform::{Circuit, Proof, key_digest, read_proof};
use tally_protocol::hash::Digest;

use crate::error::ProveError;

/// Names a proof by what it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(Digest);

impl Address {
    /// Of a circuit's proof with these public inputs (zeros for those not known before proving).
    pub fn new(circuit: &Circuit, public_inputs: &[F]) -> Self {
        let key = key_digest(&circuit.verifier_only);
        Self(PoseidonHash::hash_no_pad(
            &[&key.elements, public_inputs].concat(),
        ))
    }

    fn file_name(&self) -> String {
        let words = self
            .0
            .elements
            .map(|e| format!("{:016x}", e.to_canonical_u64()));
        format!("{}.proof", words.concat())
    }
}

/// A directory of proofs.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Opens a directory, creating it where it is missing.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, ProveError> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(|e| failed(&directory, e))?;
        Ok(Self { directory })
    }

    /// The proof at an address, if there is one that verifies and `expected` accepts.
    pub fn load(
        &self,
        address: Address,
        circuit: &Circuit,
        expected: impl Fn(&[F]) -> bool,
    ) -> Result<Option<Proof>, ProveError> {
        let path = self.directory.join(address.file_name());
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, error)),
        };
        let proof = read_proof(&bytes, &circuit.common).ok();
        let sound =
            |proof: &Proof| expected(&proof.public_inputs) && circuit.verify(proof.clone()).is_ok();
        Ok(proof.filter(sound))
    }

    pub fn save(&self, address: Address, proof: &Proof) -> Result<(), ProveError> {
        write_whole(&self.directory.join(address.file_name()), &proof.to_bytes())
    }
}

/// Writes a file that appears under its name only when it is whole and on disk.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ProveError> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|error| {
        // Nothing half-written stays; the first error is the one to tell.
        let _ = fs::remove_file(&partial);
        failed(path, error)
    })
}

fn failed(path: &Path, error: io::Error) -> ProveError {
    ProveError::Store {
        path: path.to_owned(),
        error,
    }
}
