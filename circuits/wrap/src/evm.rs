//! The verifier on L1: source from `snark-verifier`, compiled by solc, tried on anvil.

#[cfg(test)]
pub mod tests;

use std::env;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use halo2_proofs::halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};
use halo2_proofs::plonk::VerifyingKey;
use halo2_proofs::poly::commitment::ParamsProver as _;
use serde::Deserialize;
use serde_json::{Value, json};
use snark_verifier::loader::evm::EvmLoader;
use snark_verifier::pcs::kzg::{Bdfg21, KzgAs};
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::verifier::SnarkVerifier as _;
use snark_verifier::verifier::plonk::PlonkVerifier;
use thiserror::Error;

use crate::keys::{INSTANCES, Wrapped, hex};
use crate::srs::Srs;

/// A contract's runtime code may not be longer (EIP-170).
pub const MAX_CODE: usize = 24_576;
/// The adapter that the settlement contract calls; it builds the verifier's calldata itself.
const ADAPTER: [(&str, &str); 2] = [
    (
        "WrapVerifier.sol",
        include_str!("../../../contracts/src/WrapVerifier.sol"),
    ),
    (
        "IVerifier.sol",
        include_str!("../../../contracts/src/IVerifier.sol"),
    ),
];
/// Tries the contracts over JSON-RPC.
const SCRIPT: &str = include_str!("../tools/try.mjs");
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    pub creation: Vec<u8>,
    pub runtime: Vec<u8>,
}

/// Both contracts of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contracts {
    pub verifier: Code,
    pub adapter: Code,
    pub is_development: bool,
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

    pub fn contracts(
        &self,
        srs: &Srs,
        key: &VerifyingKey<G1Affine>,
    ) -> Result<Contracts, EvmError> {
        let source = verifier_source(srs, key);
        let verifier = self.compile("Halo2Verifier", &[("Halo2Verifier.sol", &source)])?;
        match verifier.runtime.len() {
            length if length > MAX_CODE => Err(EvmError::TooLong(length)),
            _ => Ok(Contracts {
                verifier,
                adapter: self.compile("WrapVerifier", &ADAPTER)?,
                is_development: srs.is_development,
            }),
        }
    }

    /// The contract of this name, in the file of its name.
    fn compile(&self, name: &str, files: &[(&str, &str)]) -> Result<Code, EvmError> {
        let sources = files.iter().map(|(file, source)| {
            let content = json!({ "content": source });
            (file.to_string(), content)
        });
        let input = json!({
            "language": "Solidity",
            "sources": sources.collect::<serde_json::Map<_, _>>(),
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
        let contract = &output["contracts"][format!("{name}.sol")][name]["evm"];
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

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// What an EVM says of the contracts and one proof.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// Of a transaction that calls the generated verifier, and of one that asks the adapter.
    pub verifier_gas: u64,
    pub adapter_gas: u64,
    /// Both took the proof.
    pub accepted: bool,
    /// What the adapter took of what it must refuse: flipped bits, another instance, x + r, a
    /// shorter proof.
    pub wrongly_accepted: Vec<String>,
    pub development: bool,
}

/// Deploys both contracts on an anvil of its own and calls them.
pub fn try_on_anvil(contracts: &Contracts, wrapped: &Wrapped) -> Result<Report, EvmError> {
    let anvil = match env::var_os("TALLY_ANVIL") {
        Some(path) => path.into(),
        None => find("contracts/node_modules/.bin/anvil").ok_or(EvmError::NoAnvil)?,
    };
    let input = json!({
        "verifier": hex(&contracts.verifier.creation),
        "adapter": hex(&contracts.adapter.creation),
        "development": contracts.is_development,
        "calldata": hex(&wrapped.calldata()),
    });
    let failed = |error: std::io::Error| EvmError::Anvil(error.to_string());
    let mut child = Command::new("node")
        .args(["--input-type=module", "-e", SCRIPT])
        .arg(anvil)
        .env("TALLY_INPUT", input.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut output = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_end(&mut output).map_err(failed)?;
    }
    child.wait().map_err(failed)?;
    serde_json::from_slice(&output).map_err(|error| EvmError::Anvil(error.to_string()))
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
