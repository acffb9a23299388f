use halo2_proofs::halo2curves::ff::Field as _;

use super::*;
use crate::circuit::Size;
use crate::keys::Keys;
use crate::srs::{Cache, Found};
use crate::testing::Small;

const SIZE: Size = Size {
    k: 15,
    lookup_bits: 14,
    degree: 6,
};

/// The small proof through halo2, its keys through the cache.
pub fn a_small_proof_is_wrapped(small: &Small) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let srs = Srs::development(SIZE.k as u32);
    let last = small.layers.circuit();
    let load = || Keys::load_or_make(&cache, &srs, SIZE, last, &small.proof, &()).unwrap();
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

    // So few rows make so many columns that L1 would not take the verifier; `tally bench wrap`
    // tries the real one on anvil.
    let compiled = Compiler::find().and_then(|it| it.contracts(&srs, keys.verifying()));
    match compiled.expect_err("more than 24,576 bytes") {
        EvmError::TooLong(length) => assert!(length > MAX_CODE),
        error => eprintln!("not compiled: {error}"),
    }
}
