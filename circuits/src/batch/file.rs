//! The proof file of a batch, and its verification.
//!
//! Layout, numbers most significant byte first: magic (8 bytes), format (4), verifier key of the
//! batch circuit (68 elements of 8 bytes: circuit digest, 16 hashes of the cap), length of the data
//! (8), data, length of the proof (8), proof; nothing after it.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::plonk::circuit_data::{
    CommonCircuitData, VerifierCircuitData, VerifierOnlyCircuitData,
};
use tally_protocol::bounds::FIELD_ORDER;
use tally_protocol::data::{BatchStatement, DataError, words_of};
use tally_protocol::hash::Digest;
use thiserror::Error;

use super::{BatchCircuit, point};
use crate::summary::DataPolynomial;
use crate::uniform::{Proof, Uniform, VerifierKey, key_digest, read_proof};
use crate::{D, F};

const MAGIC: &[u8; 8] = b"TALLYBAT";
const FORMAT: u32 = 1;
/// Hashes in a Merkle cap.
const CAP: usize = 16;

/// A batch's data with its proof.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchFile {
    pub key: VerifierKey,
    /// The bytes of d.
    pub data: Vec<u8>,
    /// As Plonky2 writes it.
    pub proof: Vec<u8>,
}

/// Why a file is not a proof file. Offsets are from the file's start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FileError {
    #[error("not a batch proof: the file begins with {0:?}")]
    Magic(Vec<u8>),
    #[error("file format {got}, this program reads {FORMAT}")]
    Format { got: u32 },
    #[error(
        "the file ends at byte {end} inside the {field}, which needs {need} bytes from {offset}"
    )]
    Short {
        field: &'static str,
        offset: usize,
        need: u64,
        end: usize,
    },
    #[error("{0} bytes follow the proof")]
    Trailing(usize),
    #[error("element {index} of the verifier key is {value}, not below p")]
    Key { index: usize, value: u64 },
}

/// Why a proof file does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    #[error("{0}")]
    File(#[from] FileError),
    #[error("{0}")]
    Statement(#[from] DataError),
    #[error("[P5] the proof's key is {got:?}, this release's batch circuit has {expected:?}")]
    Key { got: Digest, expected: Digest },
    #[error("[P6] the proof is malformed: {0}")]
    Malformed(String),
    #[error("[P6] the proof does not verify: {0}")]
    Proof(String),
    #[error("[P6] the proof's point is not the one of its data and content")]
    Point,
    #[error("[P6] the data's value at the point is not the proof's")]
    Value,
    #[error("[P5] file {file} is for another chain or contract than the first")]
    Domain { file: usize },
    #[error("[P5] file {file} begins with epoch {got} where {expected} is next")]
    Epoch {
        file: usize,
        expected: u64,
        got: u64,
    },
    #[error("[P5] file {file} does not start from the state where the one before ends")]
    State { file: usize },
}

impl FileError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            FileError::Magic(_) => "file.magic",
            FileError::Format { .. } => "file.format",
            FileError::Short { .. } => "file.short",
            FileError::Trailing(_) => "file.trailing",
            FileError::Key { .. } => "file.key",
        }
    }
}

impl VerifyError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            VerifyError::File(error) => error.code(),
            VerifyError::Statement(error) => error.code(),
            VerifyError::Key { .. } => "P5.key",
            VerifyError::Malformed(_) => "P6.malformed",
            VerifyError::Proof(_) => "P6.proof",
            VerifyError::Point => "P6.point",
            VerifyError::Value => "P6.value",
            VerifyError::Domain { .. } => "P5.domain",
            VerifyError::Epoch { .. } => "P5.epoch",
            VerifyError::State { .. } => "P5.state",
        }
    }
}

impl BatchFile {
    pub fn new(key: &VerifierKey, data: Vec<u8>, proof: &Proof) -> Self {
        Self {
            key: key.clone(),
            data,
            proof: proof.to_bytes(),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(FORMAT.to_be_bytes());
        let hashes = std::iter::once(&self.key.circuit_digest);
        for hash in hashes.chain(&self.key.constants_sigmas_cap.0) {
            for element in hash.elements {
                out.extend(element.to_canonical_u64().to_be_bytes());
            }
        }
        for part in [&self.data, &self.proof] {
            out.extend((part.len() as u64).to_be_bytes());
            out.extend(part);
        }
        out
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        let mut r = Reader { bytes, offset: 0 };
        let start = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        if start != MAGIC {
            return Err(FileError::Magic(start.to_vec()));
        }
        r.take("magic", MAGIC.len() as u64)?;
        let format = u32::from_be_bytes(r.array("format")?);
        if format != FORMAT {
            return Err(FileError::Format { got: format });
        }
        let key = r.key()?;
        let data = r.part("data")?;
        let proof = r.part("proof")?;
        match bytes.len() - r.offset {
            0 => Ok(Self { key, data, proof }),
            rest => Err(FileError::Trailing(rest)),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    fn take(&mut self, field: &'static str, need: u64) -> Result<&[u8], FileError> {
        let (offset, end) = (self.offset, self.bytes.len());
        if need > (end - offset) as u64 {
            return Err(FileError::Short {
                field,
                offset,
                need,
                end,
            });
        }
        self.offset += need as usize;
        Ok(&self.bytes[offset..self.offset])
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FileError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N as u64)?);
        Ok(array)
    }

    fn part(&mut self, field: &'static str) -> Result<Vec<u8>, FileError> {
        let length = u64::from_be_bytes(self.array(field)?);
        Ok(self.take(field, length)?.to_vec())
    }

    fn key(&mut self) -> Result<VerifierKey, FileError> {
        let mut hashes = vec![
            HashOut {
                elements: [F::ZERO; 4]
            };
            1 + CAP
        ];
        for (i, hash) in hashes.iter_mut().enumerate() {
            for (j, element) in hash.elements.iter_mut().enumerate() {
                let value = u64::from_be_bytes(self.array("verifier key")?);
                if value >= FIELD_ORDER {
                    return Err(FileError::Key {
                        index: 4 * i + j,
                        value,
                    });
                }
                *element = F::from_canonical_u64(value);
            }
        }
        let constants_sigmas_cap = MerkleCap(hashes.split_off(1));
        Ok(VerifierOnlyCircuitData {
            circuit_digest: hashes[0],
            constants_sigmas_cap,
        })
    }
}

/// Verifies proof files of one release.
#[derive(Clone, Debug)]
pub struct Verifier {
    common: CommonCircuitData<F, D>,
    expected: Digest,
}

impl Verifier {
    /// For the batch circuit whose key digest is `expected`.
    pub fn new(uniform: &Uniform, expected: Digest) -> Self {
        Self {
            common: BatchCircuit::common(uniform),
            expected,
        }
    }

    /// The statement of a file whose key, proof, data, z and y all hold.
    pub fn verify(&self, file: &BatchFile) -> Result<BatchStatement, VerifyError> {
        let got = key_digest(&file.key);
        if got != self.expected {
            return Err(VerifyError::Key {
                got,
                expected: self.expected,
            });
        }
        let list = words_of(&file.data)?;
        let statement = BatchStatement::read(&list)?;
        let proof = read_proof(&file.proof, &self.common).map_err(VerifyError::Malformed)?;
        let inputs = proof.public_inputs.clone();
        let circuit = VerifierCircuitData {
            verifier_only: file.key.clone(),
            common: self.common.clone(),
        };
        circuit
            .verify(proof)
            .map_err(|e| VerifyError::Proof(e.to_string()))?;
        check_data(&statement, &list, &file.data, &inputs)?;
        Ok(statement)
    }
}

/// \[P6\] The contract's part: z from the bytes and C, y from the bytes.
pub(super) fn check_data(
    statement: &BatchStatement,
    list: &[u64],
    bytes: &[u8],
    inputs: &[F],
) -> Result<(), VerifyError> {
    let content = HashOut {
        elements: [inputs[0], inputs[1], inputs[2], inputs[3]],
    };
    let z = point(statement, content, bytes);
    if z.0 != inputs[4..6] {
        return Err(VerifyError::Point);
    }
    let list: Vec<F> = list
        .iter()
        .map(|word| F::from_canonical_u64(*word))
        .collect();
    if DataPolynomial::evaluate(&list, z).value.0 != inputs[6..8] {
        return Err(VerifyError::Value);
    }
    Ok(())
}

/// \[P5\] Consecutive files are about one contract, follow one another and chain.
pub fn verify_chain(statements: &[BatchStatement]) -> Result<(), VerifyError> {
    for (file, pair) in (1..).zip(statements.windows(2)) {
        let (last, next) = (&pair[0], &pair[1]);
        if (last.chain_id, last.contract) != (next.chain_id, next.contract) {
            return Err(VerifyError::Domain { file });
        }
        let (expected, got) = (last.last_epoch + 1, next.first_epoch);
        if got != expected {
            return Err(VerifyError::Epoch {
                file,
                expected,
                got,
            });
        }
        if last.state_after != next.state_before {
            return Err(VerifyError::State { file });
        }
    }
    Ok(())
}
