//! Keys of the halo2 circuit, made once and kept by the digest of what they depend on; proofs.

use std::io::Cursor;

use halo2_proofs::SerdeFormat;
use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_proofs::halo2curves::ff::{Field as _, PrimeField as _};
use halo2_proofs::plonk::{
    Error as PlonkError, ProvingKey, VerifyingKey, create_proof, keygen_pk2, verify_proof,
};
use halo2_proofs::poly::commitment::ParamsProver as _;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::AccumulatorStrategy;
use halo2_proofs::transcript::{TranscriptReadBuffer, TranscriptWriterBuffer};
use rand::rngs::OsRng;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use tally_circuits::F;
use thiserror::Error;

use crate::circuit::{CircuitError, Layout, Size, WrapCircuit};
use crate::evm::EvmError;
use crate::layers::{LastCircuit, LastProof, Progress};
use crate::sample::sample;
use crate::srs::{Cache, Found, Srs, SrsError, keccak};

/// Raised with every change of the circuit: keys of another version are not this one's.
const VERSION: &str = "tally wrap 2";
pub const INSTANCES: usize = 3;
const WORD_BYTES: usize = 32;

#[derive(Debug, Error)]
pub enum WrapError {
    #[error(transparent)]
    Setup(#[from] SrsError),
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    #[error("halo2: {0}")]
    Halo2(#[from] PlonkError),
    #[error("{0:#}")]
    Layers(#[from] anyhow::Error),
    #[error(transparent)]
    Contracts(#[from] EvmError),
    #[error("the proof does not verify: another circuit's key, or the proof below is wrong")]
    Unsound,
}

impl WrapError {
    /// Stable name of what went wrong.
    pub fn code(&self) -> &'static str {
        match self {
            WrapError::Setup(error) => error.code(),
            WrapError::Circuit(CircuitError::Gate(_)) => "wrap.gate",
            WrapError::Circuit(CircuitError::Rows { .. }) => "wrap.rows",
            WrapError::Halo2(_) => "wrap.halo2",
            WrapError::Layers(_) => "wrap.layers",
            WrapError::Contracts(_) => "wrap.contracts",
            WrapError::Unsound => "wrap.unsound",
        }
    }
}

/// What L1 takes: C, z, y in three numbers, and the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    pub instances: [Fr; INSTANCES],
    pub proof: Vec<u8>,
}

impl Wrapped {
    /// Instances, most significant byte first, then the proof: what the generated verifier reads.
    pub fn calldata(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for instance in &self.instances {
            bytes.extend(instance.to_repr().as_ref().iter().rev());
        }
        bytes.extend(&self.proof);
        bytes
    }

    /// Back from what `calldata` gave; none where an instance is r or more, or missing.
    pub fn from_calldata(bytes: &[u8]) -> Option<Self> {
        let (words, proof) = bytes.split_at_checked(INSTANCES * WORD_BYTES)?;
        let mut instances = [Fr::ZERO; INSTANCES];
        for (instance, word) in instances.iter_mut().zip(words.chunks(WORD_BYTES)) {
            let mut low_first: [u8; WORD_BYTES] = word.try_into().ok()?;
            low_first.reverse();
            *instance = Option::from(Fr::from_repr(low_first.into()))?;
        }
        let proof = proof.to_vec();
        Some(Self { instances, proof })
    }
}

/// A proving key with what its circuit's witness is laid out by.
#[derive(Debug)]
pub struct Keys {
    layout: Layout,
    proving: ProvingKey<G1Affine>,
    /// Cells, checks and permutations: a circuit with others is another circuit.
    counts: [usize; 3],
}

type Transcript<S> = EvmTranscript<G1Affine, NativeLoader, S, Vec<u8>>;

impl Keys {
    /// From the cache, or made and put there.
    pub fn load_or_make(
        cache: &Cache,
        srs: &Srs,
        size: Size,
        last: &LastCircuit,
        progress: &impl Progress,
    ) -> Result<Self, WrapError> {
        let name = format!("wrap-{}.key", hex(&digest(srs, size, last)));
        match cache.find(&name)? {
            Found::Good(content) => {
                progress.step("reading the keys");
                if let Some(keys) = Self::from_bytes(&content) {
                    return Ok(keys);
                }
                progress.step("the cached keys cannot be read: making them again");
            }
            Found::Corrupt => progress.step("the cached keys are corrupt: making them again"),
            Found::Missing => progress.step("making the keys"),
        }
        let keys = Self::make(srs, size, last)?;
        cache.put(&name, &keys.to_bytes())?;
        Ok(keys)
    }

    pub fn make(srs: &Srs, size: Size, last: &LastCircuit) -> Result<Self, WrapError> {
        let (key, common) = (&last.verifier_only, &last.common);
        let circuit = WrapCircuit::with_constraints(size, key, common, &sample(common))?;
        Self::of(srs, &circuit)
    }

    /// Of a circuit with constraints.
    pub(crate) fn of(srs: &Srs, circuit: &WrapCircuit) -> Result<Self, WrapError> {
        Ok(Self {
            layout: circuit.layout(),
            proving: keygen_pk2(&srs.params, circuit, false)?,
            counts: circuit.counts(),
        })
    }

    pub fn counts(&self) -> [usize; 3] {
        self.counts
    }

    pub fn verifying(&self) -> &VerifyingKey<G1Affine> {
        self.proving.get_vk()
    }

    /// Proves, and verifies what was proven before it is given away.
    pub fn prove(
        &self,
        srs: &Srs,
        last: &LastCircuit,
        proof: &LastProof,
    ) -> Result<Wrapped, WrapError> {
        let (key, common) = (&last.verifier_only, &last.common);
        let circuit = WrapCircuit::witness(&self.layout, key, common, proof)?;
        self.prove_circuit(srs, circuit)
    }

    pub(crate) fn prove_circuit(
        &self,
        srs: &Srs,
        circuit: WrapCircuit,
    ) -> Result<Wrapped, WrapError> {
        let instances: [Fr; INSTANCES] = circuit
            .instances()
            .try_into()
            .map_err(|_| WrapError::Unsound)?;
        if circuit.counts() != self.counts {
            return Err(WrapError::Unsound);
        }
        let mut transcript: Transcript<Vec<u8>> = TranscriptWriterBuffer::init(Vec::new());
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            &srs.params,
            &self.proving,
            &[circuit],
            &[&[&instances]],
            OsRng,
            &mut transcript,
        )?;
        let wrapped = Wrapped {
            instances,
            proof: transcript.finalize(),
        };
        match self.verifies(srs, &wrapped) {
            true => Ok(wrapped),
            false => Err(WrapError::Unsound),
        }
    }

    pub fn verifies(&self, srs: &Srs, wrapped: &Wrapped) -> bool {
        let params = srs.params.verifier_params();
        let mut transcript: Transcript<&[u8]> =
            TranscriptReadBuffer::init(wrapped.proof.as_slice());
        let verified = verify_proof::<_, VerifierSHPLONK<'_, Bn256>, _, _, _>(
            params,
            self.verifying(),
            AccumulatorStrategy::new(params),
            &[&[&wrapped.instances]],
            &mut transcript,
        );
        verified.is_ok_and(|strategy| {
            halo2_proofs::poly::VerificationStrategy::<_, VerifierSHPLONK<'_, Bn256>>::finalize(
                strategy,
            )
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&(&self.layout, self.counts));
        let header = header.expect("a layout is numbers");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(self.proving.to_bytes(SerdeFormat::RawBytesUnchecked));
        bytes
    }

    /// Of a file whose digest matched.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (header, rest) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
        let (layout, counts): (Layout, _) = serde_json::from_slice(header).ok()?;
        let mut reader = Cursor::new(rest);
        let format = SerdeFormat::RawBytesUnchecked;
        let proving = ProvingKey::read::<_, WrapCircuit>(&mut reader, format, layout.size).ok()?;
        Some(Self {
            layout,
            proving,
            counts,
        })
    }
}

/// Of everything that the keys depend on.
fn digest(srs: &Srs, size: Size, last: &LastCircuit) -> [u8; 32] {
    let key = &last.verifier_only;
    let mut constants = Vec::new();
    for digest in [&key.circuit_digest]
        .into_iter()
        .chain(&key.constants_sigmas_cap.0)
    {
        constants.extend(<_ as plonky2::plonk::config::GenericHashOut<F>>::to_bytes(
            digest,
        ));
    }
    let size = format!("{VERSION} {size:?} {:?}", last.common.fri_params);
    keccak(&[size.as_bytes(), &srs.digest, &constants])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
