//! The verifier on L1: source from `snark-verifier`, compiled by solc, tried on an EVM.
//!
//! The generated verifier is compiled once for each key and then cached, so only that first time
//! needs solc; its adapter is a committed artifact.

#[cfg(test)]
pub mod tests;
mod trial;

pub use trial::{Anvil, Embedded, Host, Report, try_on};

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use halo2_proofs::halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};
use halo2_proofs::plonk::VerifyingKey;
use halo2_proofs::poly::commitment::ParamsProver as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snark_verifier::loader::evm::EvmLoader;
use snark_verifier::pcs::kzg::{Bdfg21, KzgAs};
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::verifier::SnarkVerifier as _;
use snark_verifier::verifier::plonk::PlonkVerifier;
use thiserror::Error;

use crate::keys::{INSTANCES, hex};
use crate::layers::Progress;
use crate::srs::{Cache, Found, Srs, SrsError, keccak};

/// A contract's runtime code may not be longer (EIP-170).
pub const MAX_CODE: usize = 24_576;
/// The adapter that the settlement contract calls; it builds the verifier's calldata itself.
const ADAPTER: &str = include_str!("../../../contracts/artifacts/WrapVerifier.json");
/// Raised with the compiler's settings: what is cached under another is not compiled so.
const SETTINGS: &str = "tally wrap verifier 1";
/// snark-verifier pins a compiler; any of the series compiles it.
const PINNED: &str = "pragma solidity 0.8.19;";
const RELAXED: &str = "pragma solidity ^0.8.19;";

#[derive(Debug, Error)]
pub enum EvmError {
    #[error("no solc: TALLY_SOLC names none, and contracts/tools/solc is not here or above")]
    NoCompiler,
    #[error("solc: {0}")]
    Compiler(String),
    #[error("the verifier's code has {0} bytes, {MAX_CODE} are allowed")]
    TooLong(usize),
    #[error("no anvil: TALLY_ANVIL names none, and contracts/node_modules has none here or above")]
    NoAnvil,
    #[error("anvil: {0}")]
    Anvil(String),
    #[error("the EVM: {0}")]
    Embedded(String),
    #[error("the cache: {0}")]
    Cache(#[from] SrsError),
    #[error("contracts/artifacts/WrapVerifier.json has no bytecode")]
    Artifact,
}

/// The generated verifier's source. It reads three instances and the proof, returns nothing and
/// reverts unless they verify.
pub fn verifier_source(srs: &Srs, key: &VerifyingKey<G1Affine>) -> String {
    type Verifier = PlonkVerifier<KzgAs<Bn256, Bdfg21>>;
    let instances = vec![INSTANCES];
    let config = Config::kzg().with_num_instance(instances.clone());
    let protocol = compile(&srs.params, key, config);
    let setup = (srs.params.get_g()[0], srs.params.g2(), srs.params.s_g2()).into();
    let loader = EvmLoader::new::<Fq, Fr>();
    let protocol = protocol.loaded(&loader);
    let mut transcript = EvmTranscript::<_, Rc<EvmLoader>, _, _>::new(&loader);
    let instances = transcript.load_instances(instances);
    let proof = Verifier::read_proof(&setup, &protocol, &instances, &mut transcript)
        .expect("reading only writes code");
    Verifier::verify(&setup, &protocol, &instances, &proof).expect("verifying only writes code");
    loader.solidity_code().replace(PINNED, RELAXED)
}

/// A contract's code: to deploy it, and what then lies on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    pub creation: Vec<u8>,
    pub runtime: Vec<u8>,
}

/// Both contracts of one key, the generated verifier to be deployed first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contracts {
    pub verifier: Code,
    /// To be followed by its constructor's arguments: the verifier's address, `is_development`.
    pub adapter: Vec<u8>,
    pub is_development: bool,
}

impl Contracts {
    /// From the cache, or compiled, which needs solc, and put there.
    pub fn load_or_compile(
        cache: &Cache,
        srs: &Srs,
        key: &VerifyingKey<G1Affine>,
        progress: &impl Progress,
    ) -> Result<Self, EvmError> {
        let source = verifier_source(srs, key);
        let name = format!("verifier-{}.code", hex(&source_digest(&source)));
        if let Found::Good(content) = cache.find(&name)?
            && let Ok(code) = serde_json::from_slice(&content)
        {
            return Self::new(srs, code);
        }
        progress.step("compiling the verifier");
        let code = Compiler::find()?.verifier(&source)?;
        let content = serde_json::to_vec(&code).expect("code is bytes");
        cache.put(&name, &content)?;
        Self::new(srs, code)
    }

    fn new(srs: &Srs, verifier: Code) -> Result<Self, EvmError> {
        let artifact: Value = serde_json::from_str(ADAPTER).map_err(|_| EvmError::Artifact)?;
        let adapter = artifact["bytecode"].as_str().and_then(unhex);
        match verifier.runtime.len() {
            length if length > MAX_CODE => Err(EvmError::TooLong(length)),
            _ => Ok(Self {
                verifier,
                adapter: adapter.ok_or(EvmError::Artifact)?,
                is_development: srs.is_development,
            }),
        }
    }
}

/// Names what the compiler makes of a generated source.
pub fn source_digest(source: &str) -> [u8; 32] {
    keccak(&[SETTINGS.as_bytes(), source.as_bytes()])
}

/// A program that compiles standard JSON.
#[derive(Clone, Debug)]
pub struct Compiler(PathBuf);

impl Compiler {
    /// `TALLY_SOLC`, or `contracts/tools/solc` here or above.
    pub fn find() -> Result<Self, EvmError> {
        if let Some(path) = env::var_os("TALLY_SOLC") {
            return Ok(Self(path.into()));
        }
        find("contracts/tools/solc")
            .map(Self)
            .ok_or(EvmError::NoCompiler)
    }

    /// A generated verifier's code; the same source always gives the same.
    pub fn verifier(&self, source: &str) -> Result<Code, EvmError> {
        let input = json!({
            "language": "Solidity",
            "sources": { "Halo2Verifier.sol": { "content": source } },
            "settings": {
                "evmVersion": "paris",
                // The generated code is one assembly block that the Yul optimiser gives up on.
                "optimizer": { "enabled": true, "details": { "yul": false } },
                "metadata": { "bytecodeHash": "none" },
                "outputSelection": { "*": { "*":
                    ["evm.bytecode.object", "evm.deployedBytecode.object"] } }
            }
        });
        let output: Value = serde_json::from_slice(&self.run(&input.to_string())?)
            .map_err(|error| EvmError::Compiler(error.to_string()))?;
        let contract = &output["contracts"]["Halo2Verifier.sol"]["Halo2Verifier"]["evm"];
        let code = |kind: &str| {
            let object = contract[kind]["object"]
                .as_str()
                .filter(|it| !it.is_empty());
            let object = object.ok_or_else(|| EvmError::Compiler(output["errors"].to_string()))?;
            unhex(object).ok_or_else(|| EvmError::Compiler("code that is no hex".into()))
        };
        Ok(Code {
            creation: code("bytecode")?,
            runtime: code("deployedBytecode")?,
        })
    }

    fn run(&self, input: &str) -> Result<Vec<u8>, EvmError> {
        let failed = |error: std::io::Error| EvmError::Compiler(error.to_string());
        let mut child = Command::new(&self.0)
            .arg("--standard-json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).map_err(failed)?;
        }
        Ok(child.wait_with_output().map_err(failed)?.stdout)
    }
}

/// With or without 0x.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// A file of the repository, looked for from here upwards and from where this was built.
fn find(path: &str) -> Option<PathBuf> {
    let here = env::current_dir().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = here
        .ancestors()
        .chain(built.ancestors())
        .map(|dir| dir.join(path));
    found.find(|path| path.is_file())
}
