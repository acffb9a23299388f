use plonky2::field::types::Sample;
use plonky2::hash::hashing::PlonkyPermutation;

use super::*;

/// More messages than a group has, and some that fill no vector.
const MESSAGES: usize = 8 * GROUPS + 8 + 3;

#[test]
fn columns_hash_as_the_reference_whatever_their_number() {
    for width in [0, 1, 4, 5, 8, 9, 16, 20, 85, 135] {
        let columns: Vec<Vec<F>> = (0..width).map(|_| F::rand_vec(MESSAGES)).collect();
        let columns: Vec<&[F]> = columns.iter().map(|column| &column[..]).collect();
        let mut expected = vec![HashOut::ZERO; MESSAGES];
        Hashing::<PoseidonHash>::columns(OneByOne, &columns, &mut expected);
        for kernel in Kernel::all() {
            let mut digests = vec![HashOut::ZERO; MESSAGES];
            SideBySide(kernel).columns(&columns, &mut digests);
            assert_eq!(digests, expected, "{kernel:?} {width}");
        }
    }
}

#[test]
fn pairs_hash_as_the_reference() {
    let digests = || -> Vec<HashOut<F>> {
        (0..MESSAGES)
            .map(|_| HashOut {
                elements: F::rand_array(),
            })
            .collect()
    };
    let (left, right) = (digests(), digests());
    let mut expected = vec![HashOut::ZERO; MESSAGES];
    Hashing::<PoseidonHash>::pairs(OneByOne, &left, &right, &mut expected);
    for kernel in Kernel::all() {
        let mut found = vec![HashOut::ZERO; MESSAGES];
        SideBySide(kernel).pairs(&left, &right, &mut found);
        assert_eq!(found, expected, "{kernel:?}");
    }
}

#[test]
fn the_least_nonce_is_found() {
    let state = PoseidonPermutation::new(F::rand_vec(STATE));
    for place in [0, 3, RATE - 1] {
        let expected = Hashing::<PoseidonHash>::nonce(OneByOne, state, place, 9);
        assert!(expected.is_some());
        for kernel in Kernel::all() {
            assert_eq!(
                SideBySide(kernel).nonce(state, place, 9),
                expected,
                "{kernel:?}"
            );
        }
    }
}
