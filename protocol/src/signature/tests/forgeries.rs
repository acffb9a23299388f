//! What is no signature, each by its error.

use crate::hash::{Digest, unsigned};
use crate::signature::{SecretKey, SignatureError, verify};

fn message(number: u64) -> Digest {
    Digest {
        elements: [number, 2, 3, 4].map(unsigned),
    }
}

#[test]
fn s5_what_was_signed_verifies_and_nothing_else() {
    let key = SecretKey::derive("test", b"one");
    let other = SecretKey::derive("test", b"two");
    let signature = key.sign(message(1));
    assert_eq!(verify(&key.public(), message(1), &signature), Ok(()));
    let forged = Err(SignatureError::Forged);
    assert_eq!(verify(&key.public(), message(2), &signature), forged);
    assert_eq!(verify(&other.public(), message(1), &signature), forged);
}
