//! Merkle paths of the last layer's hash, as constraints. Twin of `hash::Bn254Poseidon`.

use halo2_base::QuantumCell;
use halo2_proofs::halo2curves::bn256::Fr;

use crate::chip::{Cell, Chip, Int, WORD, constant};
use crate::hash::{NODE, PACKED, RATE};
use crate::poseidon::to_halo;

impl Chip<'_> {
    /// Three words in one element.
    pub fn pack(&mut self, words: &[Int]) -> QuantumCell<Fr> {
        assert!(words.len() <= PACKED && words.iter().all(|word| word.bits <= WORD));
        if words.is_empty() {
            return constant(0);
        }
        let bases = [0, WORD, 2 * WORD].map(|at| Fr::from_raw(shifted(at)));
        let cells = words.iter().map(|word| word.cell.into());
        let terms: Vec<_> = cells.zip(bases.map(QuantumCell::Constant)).collect();
        let (sum, _) = self.sum_of_products(&terms);
        QuantumCell::Existing(sum)
    }

    pub fn hash_leaf(&mut self, words: &[Int]) -> Cell {
        let mut capacity = constant(words.len() as u64);
        let mut digest = None;
        for block in words.chunks(RATE) {
            let (low, high) = block.split_at(block.len().min(PACKED));
            let input = [capacity, self.pack(low), self.pack(high)];
            let output = self.side.permute(self.ctx, input);
            capacity = output[0].into();
            digest = Some(output[1]);
        }
        digest.expect("a leaf has elements")
    }

    pub fn hash_node(&mut self, left: Cell, right: Cell) -> Cell {
        let tag = QuantumCell::Constant(to_halo(NODE.into()));
        let input = [tag, left.into(), right.into()];
        self.side.permute(self.ctx, input)[1]
    }

    /// The leaf is at the index with these bits, lowest first, of the tree with this cap.
    pub fn check_path(&mut self, leaf: &[Int], index: &[Cell], siblings: &[Cell], cap: &[Cell]) {
        let (path, cap_index) = index.split_at(siblings.len());
        let mut digest = self.hash_leaf(leaf);
        for (bit, sibling) in path.iter().zip(siblings) {
            let left = self.choose(*bit, *sibling, digest);
            let right = self.choose(*bit, digest, *sibling);
            digest = self.hash_node(left, right);
        }
        let expected = self.pick(cap_index, cap);
        self.ctx.constrain_equal(&digest, &expected);
    }
}

fn shifted(bits: usize) -> [u64; 4] {
    let mut limbs = [0; 4];
    limbs[bits / WORD] = 1;
    limbs
}
