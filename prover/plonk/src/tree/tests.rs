use plonky2::field::types::Sample;
use plonky2::hash::keccak::KeccakHash;
use plonky2::hash::merkle_tree::MerkleTree;
use plonky2::hash::poseidon::PoseidonHash;
use tally_kernels::simd::Kernel;

use super::*;
use crate::hashing::{OneByOne, SideBySide};

/// Compares with Plonky2's tree over the same leaves.
fn compare<H: Hasher<F>>(hashing: impl Hashing<H>, domain: Domain, width: usize, cap: usize) {
    let columns: Vec<Vec<F>> = (0..width).map(|_| F::rand_vec(domain.points())).collect();
    let leaf = |leaf: usize| -> Vec<F> {
        let place = domain.place(domain.point(leaf));
        columns.iter().map(|column| column[place]).collect()
    };
    let stock = MerkleTree::<F, H>::new((0..domain.points()).map(leaf).collect(), cap);
    let slices = |place: usize, length: usize| -> Vec<&[F]> {
        columns
            .iter()
            .map(|column| &column[place..place + length])
            .collect()
    };
    let tree = Tree::<H>::new(hashing, domain, cap, slices);
    assert_eq!(tree.cap(), stock.cap, "{domain:?} {cap}");
    assert_eq!(tree.stock_digests(), stock.digests, "{domain:?} {cap}");
    for leaf in 0..domain.points() {
        assert_eq!(tree.prove(leaf), stock.prove(leaf), "{domain:?} {leaf}");
    }
}

#[test]
fn trees_equal_the_reference_digest_by_digest() {
    for kernel in Kernel::all() {
        for (block_bits, rate_bits) in [(0, 0), (0, 3), (1, 2), (3, 3), (6, 1), (7, 3)] {
            let domain = Domain {
                block_bits,
                rate_bits,
            };
            for cap in [0, 1, 4] {
                if cap <= domain.bits() {
                    compare::<PoseidonHash>(SideBySide(kernel), domain, 13, cap);
                    compare::<PoseidonHash>(SideBySide(kernel), domain, 3, cap);
                }
            }
        }
    }
}

#[test]
fn another_hasher_goes_one_by_one() {
    let domain = Domain {
        block_bits: 4,
        rate_bits: 2,
    };
    compare::<KeccakHash<25>>(OneByOne, domain, 9, 2);
}

#[test]
fn places_of_points_are_a_permutation() {
    let domain = Domain {
        block_bits: 3,
        rate_bits: 2,
    };
    let mut places: Vec<usize> = (0..domain.points()).map(|i| domain.place(i)).collect();
    // Consecutive in a block are the points that differ by the number of blocks.
    assert_eq!(domain.place(5) + 1, domain.place(9));
    places.sort_unstable();
    assert_eq!(places, (0..domain.points()).collect::<Vec<_>>());
}
