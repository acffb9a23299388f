//! `tests/golden/settle`: two batches of a replay, proven and wrapped once, which the tests of the
//! client and of `tally settle` take through the contract. Here: that its verifier is the one of
//! today's circuits. Whoever changes a circuit runs `scripts/golden.sh`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use plonky2::field::types::{Field as _, PrimeField64 as _};
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::recursion::dummy_circuit::{dummy_circuit, dummy_proof};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tally_circuits::F;
use tally_circuits::batch::{BatchCircuit, BatchFile};
use tally_circuits::uniform::{Circuit, Uniform, VerifierKey, key_digest, read_proof};
use tally_wrap::circuit::Size;
use tally_wrap::evm::{Compiler, source_digest, verifier_source};
use tally_wrap::keys::{Keys, Wrapped};
use tally_wrap::layers::{Layers, Shape, Stock};
use tally_wrap::srs::Srs;

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/settle");
const STALE: &str = "tests/golden/settle is of other circuits: renew it with scripts/golden.sh";
const BATCHES: usize = 2;

/// `golden.json`.
#[derive(Serialize, Deserialize)]
struct Golden {
    /// The batch circuit's, as in `prover/release.json`; and what it is the digest of.
    batch_key: [u64; 4],
    batch_circuit: [u64; 4],
    batch_cap: Vec<[u64; 4]>,
    /// Names the generated verifier's source.
    verifier_source: String,
    /// A circuit of the same shape that proves nothing, wrapped for the first batch's instances.
    other_key: Other,
}

#[derive(Serialize, Deserialize)]
struct Other {
    creation: String,
    calldata: String,
}

fn words(hash: &HashOut<F>) -> [u64; 4] {
    hash.elements.map(|word| word.to_canonical_u64())
}

fn hash(words: &[u64; 4]) -> HashOut<F> {
    let elements = words.map(F::from_canonical_u64);
    HashOut { elements }
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// Layers and keys of production over a batch circuit's key.
fn production(srs: &Srs, key: &VerifierKey) -> (Layers, Keys) {
    let common = BatchCircuit::common(Uniform::production());
    let layers = Layers::build(key, &common, &Shape::PRODUCTION, &());
    let keys = Keys::make(srs, Size::PRODUCTION, layers.last()).unwrap();
    (layers, keys)
}

/// From the proof file of the first batch. Takes minutes and needs solc.
fn renew(proof: &Path, srs: &Srs) {
    let file = BatchFile::parse(&fs::read(proof).unwrap()).unwrap();
    let common = BatchCircuit::common(Uniform::production());
    let batch = read_proof(&file.proof, &common).unwrap();
    let inputs = batch.public_inputs.iter().copied().enumerate();
    let stand_in: Circuit = dummy_circuit(&common);
    let proof = dummy_proof(&stand_in, inputs.collect()).unwrap();
    let (layers, keys) = production(srs, &stand_in.verifier_only);
    let last = layers.prove(&Stock, &proof, &()).unwrap();
    let wrapped = keys.prove(srs, layers.last(), &last).unwrap();
    let source = verifier_source(srs, keys.verifying());
    let code = Compiler::find().unwrap().verifier(&source).unwrap();
    let (_, own) = production(srs, &file.key);
    let source = verifier_source(srs, own.verifying());
    let golden = Golden {
        batch_key: words(&key_digest(&file.key)),
        batch_circuit: words(&file.key.circuit_digest),
        batch_cap: file.key.constants_sigmas_cap.0.iter().map(words).collect(),
        verifier_source: hex::encode(source_digest(&source)),
        other_key: Other {
            creation: hex::encode(&code.creation),
            calldata: hex::encode(wrapped.calldata()),
        },
    };
    let text = serde_json::to_string_pretty(&golden).unwrap();
    fs::write(path("golden.json"), text + "\n").unwrap();
}

/// \[P6\] From the batch circuit's key through layers, halo2 circuit and setup to the very code
/// that the tests put on a chain.
#[test]
fn p6_the_golden_verifier_is_that_of_todays_circuits() {
    let srs = Srs::development(Size::PRODUCTION.k as u32);
    if let Some(proof) = env::var_os("TALLY_GOLDEN") {
        renew(Path::new(&proof), &srs);
    }
    let golden: Golden = serde_json::from_slice(&fs::read(path("golden.json")).unwrap()).unwrap();
    let key = VerifierKey {
        constants_sigmas_cap: MerkleCap(golden.batch_cap.iter().map(hash).collect()),
        circuit_digest: hash(&golden.batch_circuit),
    };
    assert_eq!(words(&key_digest(&key)), golden.batch_key);
    let (_, keys) = production(&srs, &key);
    let source = verifier_source(&srs, keys.verifying());
    let digest = hex::encode(source_digest(&source));
    assert_eq!(golden.verifier_source, digest, "{STALE}");
    for number in 0..BATCHES {
        let calldata = fs::read(path(&format!("batch-{number:06}.wrapped"))).unwrap();
        let wrapped = Wrapped::from_calldata(&calldata).unwrap();
        assert_eq!(wrapped.calldata(), calldata);
        assert!(keys.verifies(&srs, &wrapped), "{STALE}");
    }
    let other = hex::decode(&golden.other_key.calldata).unwrap();
    assert!(!keys.verifies(&srs, &Wrapped::from_calldata(&other).unwrap()));
    let Ok(compiler) = Compiler::find() else {
        eprintln!("not compiled again: no solc");
        return;
    };
    let code = compiler.verifier(&source).unwrap();
    let kept: Value = serde_json::from_slice(&fs::read(path("verifier.json")).unwrap()).unwrap();
    let kept = kept["creation"].as_str().unwrap().trim_start_matches("0x");
    assert_eq!(kept, hex::encode(code.creation), "{STALE}");
}
