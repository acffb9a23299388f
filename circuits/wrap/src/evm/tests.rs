use halo2_proofs::halo2curves::ff::Field as _;
use plonky2::field::types::Field as _;
use tally_circuits::F;

use serde::{Deserialize, Serialize};

use super::*;
use crate::circuit::{Size, WrapCircuit};
use crate::gates::UnknownGate;
use crate::hash::{DIGEST_WIDTHS, PACKED};
use crate::keys::Keys;
use crate::srs::{Cache, Found};
use crate::testing::Small;

const SIZE: Size = Size {
    k: 18,
    limb_bits: 16,
};

/// The small proof through halo2, its keys through the cache.
pub fn a_small_proof_is_wrapped(small: &Small) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let srs = Srs::development(SIZE.k as u32);
    let last = small.layers.circuit();
    let load = || Keys::load_or_make(&cache, &srs, SIZE, last, &()).unwrap();
    let keys = load();
    let wrapped = keys.prove(&srs, last, &small.proof).unwrap();
    assert!(keys.verifies(&srs, &wrapped));
    let mut other = wrapped.clone();
    other.instances[1] += Fr::ONE;
    assert!(!keys.verifies(&srs, &other));

    let name = std::fs::read_dir(dir.path()).unwrap().next().unwrap();
    let name = name.unwrap().file_name().into_string().unwrap();
    let Found::Good(content) = cache.find(&name).unwrap() else {
        panic!("the keys were kept");
    };
    std::fs::write(dir.path().join(&name), &content).unwrap();
    assert_eq!(cache.find(&name).unwrap(), Found::Corrupt);
    let again = load();
    assert!(again.verifies(&srs, &wrapped), "made again, and the same");
    assert_eq!(cache.find(&name).unwrap(), Found::Good(content));
    let read = load();
    let second = read.prove(&srs, last, &small.proof).unwrap();
    assert!(keys.verifies(&srs, &second), "read from the cache");
}

/// A circuit with the columns of the real one, and next to no rows.
fn toy() -> WrapCircuit {
    let size = Size {
        k: 11,
        limb_bits: 8,
    };
    let circuit = WrapCircuit::fill(size, None, |chip| {
        let words = [5, F::NEG_ONE.0, 1 << 40].map(|x| chip.witness(F::from_canonical_u64(x)));
        let digest = chip.hash_leaf(&words);
        // The adapter takes three words an instance, so of the digest only its lowest part.
        let parts = chip.split(digest, &DIGEST_WIDTHS, PACKED);
        let product = chip.mul(words[0], words[1]);
        let product = chip.reduce(product);
        Ok::<_, UnknownGate>(vec![words[2].cell, parts[0].cell, product.cell])
    });
    circuit.unwrap()
}

/// The toy's verifier as solc compiled it, for machines without solc.
const COMPILED: &str = include_str!("../../fixtures/verifier.json");

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Compiled {
    /// Of the source that it was compiled from.
    source: String,
    creation: String,
    runtime: String,
}

/// The committed code, which solc must make again where it is.
fn compiled(source: &str) -> Code {
    let digest = hex(&source_digest(source));
    if let Ok(compiler) = Compiler::find() {
        let code = compiler.verifier(source).unwrap();
        let again = Compiled {
            source: digest.clone(),
            creation: hex(&code.creation),
            runtime: hex(&code.runtime),
        };
        if std::env::var_os("TALLY_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/verifier.json");
            let text = serde_json::to_string_pretty(&again).unwrap();
            std::fs::write(path, text + "\n").unwrap();
            return code;
        }
        assert_eq!(serde_json::from_str::<Compiled>(COMPILED).unwrap(), again);
    }
    let committed: Compiled = serde_json::from_str(COMPILED).unwrap();
    assert_eq!(committed.source, digest, "stale: TALLY_BLESS=1, with solc");
    Code {
        creation: unhex(&committed.creation).unwrap(),
        runtime: unhex(&committed.runtime).unwrap(),
    }
}

/// The code as it was kept; once its file is altered, that which solc makes again, or none.
fn a_corrupt_verifier_is_not_taken_from_the_cache(srs: &Srs, keys: &Keys, code: &Code) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let source = verifier_source(srs, keys.verifying());
    let name = format!("verifier-{}.code", hex(&source_digest(&source)));
    cache
        .put(&name, &serde_json::to_vec(code).unwrap())
        .unwrap();
    let load = || Contracts::load_or_compile(&cache, srs, keys.verifying(), &());
    assert_eq!(&load().unwrap().verifier, code);
    let path = dir.path().join(&name);
    let mut altered = std::fs::read(&path).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    std::fs::write(&path, altered).unwrap();
    assert_eq!(cache.find(&name).unwrap(), Found::Corrupt);
    match load() {
        Ok(again) => {
            assert_eq!(&again.verifier, code);
            assert!(matches!(cache.find(&name).unwrap(), Found::Good(_)));
        }
        Err(error) => assert!(matches!(error, EvmError::NoCompiler), "{error}"),
    }
}

/// The generated verifier and its adapter on an EVM: what they cost and what they refuse.
#[test]
fn the_verifier_takes_the_proof_and_refuses_lies() {
    let circuit = toy();
    let srs = Srs::development(11);
    let keys = Keys::of(&srs, &circuit).unwrap();
    let wrapped = keys.prove_circuit(&srs, circuit).unwrap();
    let code = compiled(&verifier_source(&srs, keys.verifying()));
    a_corrupt_verifier_is_not_taken_from_the_cache(&srs, &keys, &code);
    let contracts = Contracts::new(&srs, code).unwrap();
    let check = |report: Report| {
        assert!(report.accepted && report.development, "{report:?}");
        assert_eq!(report.wrongly_accepted, Vec::<String>::new());
        // The real circuit differs by eight squarings and what lies in the code.
        assert!(report.verifier_gas < 350_000, "{report:?}");
        report
    };
    let report = check(try_on(&mut Embedded::default(), &contracts, &wrapped).unwrap());
    match Anvil::start() {
        Err(error) => eprintln!("not tried on anvil: {error}"),
        Ok(mut anvil) => {
            let other = check(try_on(&mut anvil, &contracts, &wrapped).unwrap());
            assert_eq!(other.verifier_gas, report.verifier_gas);
        }
    }
}
