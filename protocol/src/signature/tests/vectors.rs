//! `tests/vectors/signature.json`: what others published of the curve, and signatures of ours for
//! whoever writes another signer.

use serde_json::Value;

use crate::hash::{Digest, F, unsigned};
use crate::signature::curve::{Affine, Point};
use crate::signature::schnorr::elements;
use crate::signature::{Fp5, Scalar, SecretKey, Signature, challenge, multiply, verify};

fn vectors() -> Value {
    let text = include_str!("../../../../tests/vectors/signature.json");
    serde_json::from_str(text).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn element(value: &Value) -> Fp5 {
    let numbers: Vec<u64> = list(value).iter().map(number).collect();
    Fp5::new(numbers.try_into().unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn point(value: &Value) -> Point {
    Affine::decode(&element(value)).unwrap().into()
}

fn encodes(point: &Point, value: &Value) {
    let w: [F; 5] = element(value).into();
    assert_eq!(point.encode(), w);
    assert!(point.is_encoded_by(&w));
}

#[test]
fn s5_published_points_decode_add_and_double() {
    let vectors = vectors();
    let w = |i: usize| &vectors["points"][i];
    for encoding in list(&vectors["points"]) {
        encodes(&point(encoding), encoding);
    }
    let (p0, p1, p2) = (point(w(0)), point(w(1)), point(w(2)));
    assert!(p0.is_neutral() && !p1.is_neutral());
    encodes(&p1.add(&p2), w(3));
    for double in [p1.double(), p1.add(&p1)] {
        encodes(&double, w(4));
    }
    encodes(&p2.double(), w(5));
    encodes(&p1.double().add(&p2), w(6));
    encodes(&p1.add(&p2).add(&p2), w(7));
    for neutral in [
        p0.double(),
        p0.add(&p0),
        p1.add(&p1.neg()),
        p0.double_times(3),
    ] {
        encodes(&neutral, w(0));
    }
    for same in [p0.add(&p1), p1.add(&p0), p1.add(&p2).add(&p2.neg())] {
        encodes(&same, w(1));
        assert!(!same.is_encoded_by(&point(w(2)).encode()));
    }
    encodes(&Affine::GENERATOR.into(), &vectors["generator"]);
}

#[test]
fn s5_published_multiple_agrees() {
    let vectors = &vectors()["multiple"];
    let factor = bytes(&vectors["factor"]).try_into().unwrap();
    let factor = Scalar::from_bytes(&factor).unwrap();
    let base = Affine::decode(&element(&vectors["point"])).unwrap();
    encodes(&multiply::times(&base, &factor), &vectors["product"]);
}

#[test]
fn s5_what_encodes_no_point_is_refused() {
    let vectors = vectors();
    for outside in list(&vectors["no_points"]) {
        assert_eq!(Affine::decode(&element(outside)), None);
    }
    for case in list(&vectors["not_canonical"]) {
        assert_eq!(
            elements(&bytes(&case["bytes"])),
            Err(number(&case["element"]) as usize)
        );
    }
}

#[test]
fn s5_signatures_are_pinned() {
    let (mut found, mut pinned) = (Vec::new(), Vec::new());
    for case in list(&vectors()["signatures"]) {
        let key = bytes(&case["secret"]).try_into().unwrap();
        let key = SecretKey::from_bytes(&key).unwrap();
        let words: Vec<u64> = list(&case["message"]).iter().map(number).collect();
        let elements: [u64; 4] = words.try_into().unwrap();
        let message = Digest {
            elements: elements.map(unsigned),
        };
        let randomness = bytes(&case["randomness"]).try_into().unwrap();
        let signature = key.sign_with(message, &randomness);
        let public = Fp5::from(key.public()).coefficients();
        let public: Vec<u8> = public.into_iter().flat_map(u64::to_le_bytes).collect();
        let e = challenge(&signature.nonce, &key.public(), message);
        found.push([
            hex(&public),
            hex(&e.0.to_le_bytes()),
            hex(&signature.to_bytes()),
        ]);
        pinned.push(["public", "challenge", "signature"].map(|name| case[name].clone()));
        let read = Signature::from_bytes(&signature.to_bytes());
        assert_eq!(verify(&key.public(), message, &read.unwrap()), Ok(()));
    }
    assert_eq!(found, pinned);
}
