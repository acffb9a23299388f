use std::fs;

use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::halo2curves::serde::SerdeObject;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;

use super::cache::Found;
use super::*;

const K: u32 = 4;

fn foreign() -> ParamsKZG<Bn256> {
    ParamsKZG::setup(K, ChaCha20Rng::from_seed([7; 32]))
}

/// A .ptau with more powers than asked for, sections in another order.
fn ptau(params: &ParamsKZG<Bn256>) -> Vec<u8> {
    let mut g1 = Vec::new();
    for point in params.get_g() {
        g1.extend(point.to_raw_bytes());
    }
    let mut g2 = params.g2().to_raw_bytes();
    g2.extend(params.s_g2().to_raw_bytes());
    let modulus = halo2_base::utils::modulus::<halo2_proofs::halo2curves::bn256::Fq>();
    let mut header = 32u32.to_le_bytes().to_vec();
    header.extend(modulus.to_bytes_le());
    header.extend(K.to_le_bytes());
    header.extend(K.to_le_bytes());
    let mut file = b"ptau".to_vec();
    file.extend(1u32.to_le_bytes());
    file.extend(4u32.to_le_bytes());
    for (kind, content) in [(3u32, g2), (9, vec![1, 2, 3]), (1, header), (2, g1)] {
        file.extend(kind.to_le_bytes());
        file.extend((content.len() as u64).to_le_bytes());
        file.extend(content);
    }
    file
}

fn check(bytes: &[u8], k: u32) -> Result<Srs, SrsError> {
    Srs::check(read(bytes, k)?, &())
}

fn code(bytes: &[u8], k: u32) -> &'static str {
    check(bytes, k).unwrap_err().code()
}

#[test]
fn both_formats_give_the_same_setup() {
    let params = foreign();
    let from_halo2 = check(&raw(&params), K).unwrap();
    let from_ptau = check(&ptau(&params), K).unwrap();
    assert_eq!(from_halo2.digest, keccak(&[&raw(&params)]));
    assert_eq!(from_ptau.digest, from_halo2.digest);
    assert!(!from_ptau.is_development);
    // Fewer powers of a larger file are a setup of their own.
    let fewer = check(&ptau(&params), K - 1).unwrap();
    let also = check(&raw(&params), K - 1).unwrap();
    assert_eq!((fewer.params.k(), fewer.digest), (K - 1, also.digest));
}

#[test]
fn the_development_setup_is_halo2s_and_is_marked() {
    let srs = Srs::development(K);
    assert!(srs.is_development);
    let read_back = check(&raw(&srs.params), K).unwrap();
    assert!(read_back.is_development, "also under another name");
    assert_eq!(read_back.digest, srs.digest);
    // Without the Lagrange basis it is computed, and must be the same.
    assert_eq!(check(&ptau(&srs.params), K).unwrap().digest, srs.digest);
}

#[test]
fn what_is_no_setup_is_refused_by_name() {
    let params = foreign();
    let good = raw(&params);
    assert_eq!(code(&good, K + 1), "srs.power");
    assert_eq!(code(&ptau(&params), K + 1), "srs.power");
    assert_eq!(code(&good[..good.len() - 1], K), "srs.format");
    assert_eq!(code(b"ptau", K), "srs.format");
    let cut = ptau(&params);
    assert_eq!(code(&cut[..cut.len() - 9], K), "srs.format");

    let mut bytes = good.clone();
    bytes[4 + 64 * 3] ^= 1;
    assert_eq!(code(&bytes, K), "srs.point");
    let mut bytes = ptau(&params);
    let prime = bytes.len() - (64 << K) - 12 - 8 - 32;
    bytes[prime] ^= 1;
    assert_eq!(code(&bytes, K), "srs.curve");

    let powers = || read(&good, K).unwrap();
    let refused = |powers: Powers| Srs::check(powers, &()).unwrap_err().code();
    let mut other = powers();
    other.g1.swap(2, 3);
    assert_eq!(refused(other), "srs.pairing");
    let mut other = powers();
    other.secret_g2 = (other.secret_g2 * Fr::from(2)).to_affine();
    assert_eq!(refused(other), "srs.pairing");
    let mut other = powers();
    other.g1[0] = other.g1[1];
    assert_eq!(refused(other), "srs.generator");
    let mut other = powers();
    other.secret_g2 = other.g2;
    assert_eq!(refused(other), "srs.trivial");
    let mut other = powers();
    other.lagrange.as_mut().unwrap().swap(0, 1);
    assert_eq!(refused(other), "srs.lagrange");
}

#[test]
fn a_corrupt_cache_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(cache.setup(K, &()).unwrap_err().code(), "srs.missing");
    let (made, path) = cache.make_development(K).unwrap();
    assert_eq!(cache.setup(K, &()).unwrap().digest, made.digest);
    let flip = |path: &std::path::Path| {
        let mut bytes = fs::read(path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    flip(&path);
    assert_eq!(
        cache.setup(K, &()).unwrap().digest,
        made.digest,
        "made again"
    );
    assert!(matches!(
        cache.find("srs-dev-4.bin").unwrap(),
        Found::Good(_)
    ));

    let file = dir.path().join("file.ptau");
    fs::write(&file, ptau(&foreign())).unwrap();
    let (imported, path) = cache.import(&file, K, &()).unwrap();
    assert_eq!(
        cache.setup(K, &()).unwrap().digest,
        imported.digest,
        "comes first"
    );
    flip(&path);
    assert_eq!(cache.setup(K, &()).unwrap_err().code(), "srs.corrupt");
    assert_ne!(Fr::ZERO, development_secret());
}
