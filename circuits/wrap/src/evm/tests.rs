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

/// The small proof through halo2 and, where there is a compiler, onto an EVM.
pub fn a_small_proof_reaches_l1(small: &Small) {
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

    match Compiler::find() {
        Ok(compiler) => {
            let contracts = compiler.contracts(&srs, keys.verifying()).unwrap();
            eprintln!("{} bytes of code", contracts.verifier.runtime.len());
            #[cfg(feature = "revm")]
            on_the_evm(&contracts, &wrapped);
        }
        Err(error) => eprintln!("not compiled: {error}"),
    }
}

#[cfg(feature = "revm")]
fn on_the_evm(contracts: &Contracts, wrapped: &Wrapped) {
    use halo2_base::utils::modulus;
    use num_bigint::BigUint;

    let mut machine = Machine::deploy(contracts).unwrap();
    let gas = machine.verify(wrapped.calldata()).unwrap();
    eprintln!("{gas} gas");
    assert!(machine.adapter_verify(wrapped).unwrap().0);
    assert!(machine.is_development().unwrap());
    assert_ne!(machine.key_digest().unwrap(), vec![0; 32]);

    for bit in [0, 1_000, 8 * wrapped.proof.len() - 1] {
        let mut flipped = wrapped.clone();
        flipped.proof[bit / 8] ^= 1 << (bit % 8);
        assert!(!machine.adapter_verify(&flipped).unwrap().0, "bit {bit}");
        assert!(machine.verify(flipped.calldata()).is_err());
    }
    for i in 0..INSTANCES {
        let mut other = wrapped.clone();
        other.instances[i] += Fr::ONE;
        assert!(!machine.adapter_verify(&other).unwrap().0, "instance {i}");
        // x + r: the generated verifier takes it, the adapter does not.
        let raised = adapter_calldata(wrapped);
        let at = 4 + 32 * (1 + i);
        let x = BigUint::from_bytes_be(&raised[at..at + 32]) + modulus::<Fr>();
        let mut raised = raised;
        raised[at..at + 32].copy_from_slice(&x.to_bytes_be());
        let output = machine.adapter_call(raised).unwrap();
        assert_eq!(output.last(), Some(&0), "x + r for instance {i}");
    }
    let mut shorter = wrapped.clone();
    shorter.proof.truncate(wrapped.proof.len() - 32);
    assert!(!machine.adapter_verify(&shorter).unwrap().0);
}
