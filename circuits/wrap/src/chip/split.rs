//! One residue, bits, and the parts of an element of BN254: where a value has one reading only.

use halo2_base::QuantumCell;
use halo2_base::utils::fe_to_biguint;
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field as _;
use num_bigint::BigUint;

use super::{Cell, Chip, Int, WORD, big_constant, big_witness, constant, modulus, value};

impl Chip<'_> {
    /// The residue below p of a word: x = residue + wraps · p with wraps a bit.
    pub fn canonical(&mut self, x: Int) -> Int {
        let x = self.reduce(x);
        let (p, cell) = (big_constant(&modulus()), x.cell.into());
        let (v, seen) = (self.seen(&cell, 3), self.seen(&p, 2));
        let [wraps, residue] = self.hint("canonical", [&v / &seen, &v % &seen]);
        let parts = [&residue, &wraps].map(big_witness);
        let [residue, wraps] = self.assert_gate([parts[0], parts[1], p, cell]);
        self.assert_bit(wraps);
        let residue = Int {
            cell: residue,
            bits: WORD,
        };
        self.check_bits(residue.cell, WORD);
        self.assert_canonical(residue);
        residue
    }

    /// p − 1 − x has no sign. For a word below 2^64.
    pub fn assert_canonical(&mut self, x: Int) {
        assert!(x.bits <= WORD);
        let last = big_constant(&(modulus() - 1u32));
        let rest = self.difference(last, x.cell.into());
        self.check_bits(rest, WORD);
    }

    /// The lowest bits, lowest first, of a canonical word.
    pub fn low_bits(&mut self, x: Int, count: usize) -> Vec<Cell> {
        assert!(count < WORD && x.bits <= WORD);
        let v = value(&x.cell);
        let honest = [&v % (BigUint::from(1u32) << count), &v >> count];
        let [low, high] = self.hint("bits", honest);
        let bits = (0..count as u64).map(|i| QuantumCell::Witness(Fr::from(u64::from(low.bit(i)))));
        let parts = bits.chain([big_witness(&high)]);
        let terms: Vec<_> = parts.zip((0..).map(|i| constant(1 << i))).collect();
        let (sum, mut cells) = self.sum_of_products(&terms);
        self.ctx.constrain_equal(&sum, &x.cell);
        if let Some(high) = cells.pop() {
            self.check_bits(high, WORD - count);
        }
        for bit in &cells {
            self.assert_bit(*bit);
        }
        cells
    }

    /// The one way to write an element of BN254 in these widths, lowest first: the sum is the
    /// element, and as an integer below r.
    ///
    /// *Why the second check.* Sums up to 2^254 have an alias x + r. With halves at `middle`, r − 1
    /// minus the sum is (upper, lower) with at most one borrow between them, and neither half has
    /// a sign.
    pub fn split(&mut self, x: Cell, widths: &[usize], middle: usize) -> Vec<Int> {
        assert_eq!(widths.iter().sum::<usize>(), 254);
        let mut rest = value(&x);
        let mut parts = [const { BigUint::ZERO }; 5];
        for (part, width) in parts.iter_mut().zip(widths) {
            let base = BigUint::from(1u32) << *width;
            *part = &rest % &base;
            rest = &rest / &base;
        }
        let parts = self.hint("split", parts);
        let cells = parts.iter().take(widths.len()).map(big_witness);
        let bases = offsets(widths).map(|at| big_constant(&(BigUint::from(1u32) << at)));
        let terms: Vec<_> = cells.zip(bases).collect();
        let (sum, cells) = self.sum_of_products(&terms);
        self.ctx.constrain_equal(&sum, &x);
        let ints: Vec<Int> = cells
            .into_iter()
            .zip(widths)
            .map(|(cell, width)| {
                self.check_bits(cell, *width);
                Int { cell, bits: *width }
            })
            .collect();
        self.assert_below_r(&ints, widths, middle);
        ints
    }

    fn assert_below_r(&mut self, parts: &[Int], widths: &[usize], middle: usize) {
        let half: usize = widths[..middle].iter().sum();
        let base = BigUint::from(1u32) << half;
        let last = fe_to_biguint(&-Fr::ONE);
        let [lower, upper] = [(0..middle), (middle..parts.len())].map(|range| {
            let cells = parts[range.clone()].iter().map(|part| part.cell.into());
            let bases = offsets(&widths[range.clone()]);
            let bases = bases.map(|at| big_constant(&(BigUint::from(1u32) << at)));
            let terms: Vec<_> = cells.zip(bases).collect();
            self.sum_of_products(&terms).0
        });
        let borrows = BigUint::from(u32::from(value(&lower) > &last % &base));
        let [borrow] = self.hint("borrow", [borrows]);
        let borrow = self.load(big_witness(&borrow));
        self.assert_bit(borrow);
        let rest = self.difference(big_constant(&(&last % &base)), lower.into());
        let rest = self.gate(rest.into(), borrow.into(), big_constant(&base));
        self.check_bits(rest, half);
        let rest = self.difference(big_constant(&(&last / &base)), upper.into());
        let rest = self.difference(rest.into(), borrow.into());
        self.check_bits(rest, (254 - half).next_multiple_of(self.limb));
    }
}

/// Where each part begins.
fn offsets(widths: &[usize]) -> impl Iterator<Item = usize> {
    widths.iter().scan(0, |at, width| {
        let start = *at;
        *at += width;
        Some(start)
    })
}
