//! What is no signature, each by its error; and what a batch makes of it.

use crate::account::{Owner, PublicKey};
use crate::hash::{Digest, unsigned};
use crate::message::{Cancel, CancelAll, Domain, SignatureRequest};
use crate::signature::curve::ORDER;
use crate::signature::schnorr::SIGNATURE_BYTES;
use crate::signature::{
    Scalar, SecretKey, Signature, SignatureError, SignedRequest, multiply, verify, verify_batch,
};
use crate::types::AccountId;

fn key(name: &str) -> SecretKey {
    SecretKey::derive("tests", name.as_bytes())
}

fn message(number: u64) -> Digest {
    let elements = [number, 2, 3, 4].map(unsigned);
    Digest { elements }
}

/// By ten keys, the last of which signs often.
fn many(count: u64) -> Vec<SignedRequest> {
    let signed = |n: u64| {
        let key = key(&format!("{}", n.min(9)));
        let (key, digest, signature) = (key.public(), message(n), key.sign(message(n)));
        let request = SignatureRequest { key, digest };
        SignedRequest { request, signature }
    };
    (0..count).map(signed).collect()
}

#[test]
fn s5_what_was_signed_verifies_for_its_key_and_message_alone() {
    let (one, two) = (key("one"), key("two"));
    let signature = one.sign(message(1));
    assert_eq!(verify(&one.public(), message(1), &signature), Ok(()));
    let forged = Err(SignatureError::Forged);
    assert_eq!(verify(&one.public(), message(2), &signature), forged);
    assert_eq!(verify(&two.public(), message(1), &signature), forged);
    let other = one.sign(message(2));
    for (nonce, s) in [(signature.nonce, other.s), (other.nonce, signature.s)] {
        let mixed = Signature { nonce, s };
        assert_eq!(verify(&one.public(), message(1), &mixed), forged);
    }
}

#[test]
fn s5_a_signature_is_not_replayed_elsewhere() {
    let signer = key("one");
    let cancel = |account: u32, generation: u32| Cancel {
        account: AccountId(account),
        generation,
        slot: 0,
        sequence: 0,
    };
    let contract = |byte: u8| Owner([byte; 20]);
    let domain = |chain_id, byte| Domain::new(chain_id, contract(byte)).unwrap();
    let signature = signer.sign(cancel(1024, 7).digest(&domain(1, 1)));
    let verify = |digest| verify(&signer.public(), digest, &signature);
    assert_eq!(verify(cancel(1024, 7).digest(&domain(1, 1))), Ok(()));
    let cancel_all = CancelAll {
        account: AccountId(1024),
        generation: 7,
        nonce: 0,
    };
    for elsewhere in [
        cancel(1024, 7).digest(&domain(2, 1)),
        cancel(1024, 7).digest(&domain(1, 2)),
        cancel(1025, 7).digest(&domain(1, 1)),
        cancel(1024, 8).digest(&domain(1, 1)),
        cancel_all.digest(&domain(1, 1)),
    ] {
        assert_eq!(verify(elsewhere), Err(SignatureError::Forged));
    }
}

#[test]
fn s5_every_flipped_bit_and_every_other_length_is_refused() {
    let signer = key("one");
    let bytes = signer.sign(message(1)).to_bytes();
    let read = |bytes: &[u8]| {
        let signature = Signature::from_bytes(bytes)?;
        verify(&signer.public(), message(1), &signature)
    };
    assert_eq!(read(&bytes), Ok(()));
    for bit in 0..8 * SIGNATURE_BYTES {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = read(&flipped).unwrap_err();
        assert!(
            ["S5.signature", "S5.encoding", "S5.scalar"].contains(&error.code()),
            "{bit}"
        );
    }
    for length in [0, 40, 79] {
        assert_eq!(read(&bytes[..length]), Err(SignatureError::Length(length)));
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(read(&longer), Err(SignatureError::Length(81)));
}

#[test]
fn s5_the_same_scalar_has_no_second_name() {
    let signature = key("one").sign(message(1));
    let mut carry = 0u128;
    let limbs = signature.s.limbs();
    let raised = core::array::from_fn::<u64, 5, _>(|i| {
        carry += u128::from(limbs[i]) + u128::from(ORDER[i]);
        let limb = carry as u64;
        carry >>= 64;
        limb
    });
    assert_eq!(carry, 0);
    let mut bytes = signature.to_bytes();
    for (to, limb) in bytes[40..].chunks_mut(8).zip(raised) {
        to.copy_from_slice(&limb.to_le_bytes());
    }
    assert_eq!(Signature::from_bytes(&bytes), Err(SignatureError::Scalar));
    bytes[40..].fill(0xff);
    assert_eq!(Signature::from_bytes(&bytes), Err(SignatureError::Scalar));
}

#[test]
fn s5_the_neutral_point_signs_nothing_and_is_no_nonce() {
    let neutral = PublicKey::default();
    // With the neutral key, s·G = R + e·N for every s and every message.
    let s = Scalar::from(5);
    let nonce = multiply::generator_times(&s).encode();
    let anyones = Signature { nonce, s };
    assert_eq!(
        verify(&neutral, message(1), &anyones),
        Err(SignatureError::NeutralKey)
    );
    // With the nonce 0, s = e·k gives the secret away.
    let zeros = Signature {
        nonce: neutral,
        s: Scalar::ZERO,
    };
    let signer = key("one").public();
    assert_eq!(
        verify(&signer, message(1), &zeros),
        Err(SignatureError::NeutralNonce)
    );
    let outside = [
        unsigned(0),
        unsigned(1),
        unsigned(0),
        unsigned(0),
        unsigned(0),
    ];
    let expected = match crate::signature::Point::decode(&outside) {
        Some(_) => SignatureError::Forged,
        None => SignatureError::Key,
    };
    assert_eq!(verify(&outside, message(1), &anyones), Err(expected));
}

#[test]
fn s5_nonces_differ_by_message_key_and_randomness_and_by_nothing_else() {
    let (one, two) = (key("one"), key("two"));
    assert_eq!(one.sign(message(1)), one.sign(message(1)));
    let nonces = [
        one.sign(message(1)),
        one.sign(message(2)),
        two.sign(message(1)),
        one.sign_with(message(1), &[1; 32]),
    ];
    for (i, left) in nonces.iter().enumerate() {
        assert!(
            nonces
                .iter()
                .skip(i + 1)
                .all(|right| left.nonce != right.nonce)
        );
    }
    assert_eq!(verify(&one.public(), message(1), &nonces[3]), Ok(()));
    assert!(SecretKey::from_bytes(&[0; 40]).is_none());
    assert!(SecretKey::from_bytes(&[0xff; 40]).is_none());
    let again = SecretKey::from_bytes(&one.to_bytes()).unwrap();
    assert_eq!(again.public(), one.public());
    assert_eq!(
        format!("{one:?} {:?}", Scalar::from(7)),
        "SecretKey(..) Scalar(..)"
    );
}

#[test]
fn s5_a_batch_names_its_first_forgery() {
    for count in [0, 1, 23, 24, 40] {
        let honest = many(count);
        assert_eq!(verify_batch(&honest), Ok(()), "{count}");
        for culprit in (0..count as usize).step_by(7) {
            let mut signed = honest.clone();
            signed[culprit].request.digest = message(1_000);
            let error = verify_batch(&signed).unwrap_err();
            assert_eq!((error.index, error.code()), (culprit, "S5.signature"));
        }
    }
    let mut signed = many(30);
    signed[3].request.key = PublicKey::default();
    signed[5].signature.nonce = PublicKey::default();
    assert_eq!(verify_batch(&signed).unwrap_err().code(), "S5.neutral_key");
    signed[3].signature.nonce = PublicKey::default();
    signed[3].request.key = signed[4].request.key;
    assert_eq!(
        verify_batch(&signed).unwrap_err().code(),
        "S5.neutral_nonce"
    );
}

/// A sum without factors would accept both.
#[test]
fn s5_forgeries_do_not_cancel_in_a_batch() {
    let mut signed = many(30);
    let minus_one = Scalar::new([ORDER[0] - 1, ORDER[1], ORDER[2], ORDER[3], ORDER[4]]).unwrap();
    for (index, change) in [(10, Scalar::from(1)), (20, minus_one)] {
        let s = signed[index].signature.s.add(&change);
        signed[index].signature.s = s;
    }
    assert_eq!(verify_batch(&signed).unwrap_err().index, 10);
    let mut signed = many(30);
    let (ten, twenty) = (signed[10].signature, signed[20].signature);
    (signed[10].signature, signed[20].signature) = (twenty, ten);
    assert_eq!(verify_batch(&signed).unwrap_err().index, 10);
}
