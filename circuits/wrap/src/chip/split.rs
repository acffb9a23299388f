//! One residue, bits, and the parts of an element of BN254: where a value has one reading only.

use halo2_base::QuantumCell;
use halo2_base::gates::flex_gate::GateInstructions;
use halo2_base::utils::{biguint_to_fe, fe_to_biguint};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field as _;
use num_bigint::BigUint;

use super::{Cell, Chip, Int, WORD, big_constant, big_witness, constant, modulus, value};

impl Chip<'_> {
    /// The residue below p of a word: x = residue + wraps · p with wraps a bit.
    pub fn canonical(&mut self, x: Int) -> Int {
        let x = self.reduce(x);
        let (v, p) = (value(&x.cell), modulus());
        let [wraps, residue] = self.hint("canonical", [&v / &p, &v % &p]);
        let cells = [
            big_witness(&residue),
            big_witness(&wraps),
            big_constant(&p),
            x.cell.into(),
        ];
        self.ctx.assign_region(cells, [0]);
        let (residue, wraps) = (self.ctx.get(-4), self.ctx.get(-3));
        self.gate().assert_bit(self.ctx, wraps);
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
        let rest = self.gate().sub(self.ctx, last, x.cell);
        self.check_bits(rest, WORD);
    }

    /// The lowest bits, lowest first, of a canonical word.
    pub fn low_bits(&mut self, x: Int, count: usize) -> Vec<Cell> {
        assert!(count < WORD && x.bits <= WORD);
        let v = value(&x.cell);
        let honest = [&v % (BigUint::from(1u32) << count), &v >> count];
        let [low, high] = self.hint("bits", honest);
        let bits = (0..count as u64).map(|i| QuantumCell::Witness(Fr::from(u64::from(low.bit(i)))));
        let cells: Vec<_> = bits.chain([big_witness(&high)]).collect();
        let bases = (0..=count).map(|i| constant(1 << i));
        let (sum, mut cells) = self.gate().inner_product_left(self.ctx, cells, bases);
        self.ctx.constrain_equal(&sum, &x.cell);
        if let Some(high) = cells.pop() {
            self.check_bits(high, WORD - count);
        }
        for bit in &cells {
            self.gate().assert_bit(self.ctx, *bit);
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
        let cells: Vec<_> = parts.iter().take(widths.len()).map(big_witness).collect();
        let bases = offsets(widths).map(|at| big_constant(&(BigUint::from(1u32) << at)));
        let bases: Vec<_> = bases.collect();
        let (sum, cells) = self
            .gate()
            .inner_product_left(self.ctx, cells, bases.clone());
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
            let cells = parts[range.clone()].iter().map(|part| part.cell);
            let bases = offsets(&widths[range.clone()]);
            let bases = bases.map(|at| big_constant(&(BigUint::from(1u32) << at)));
            self.gate().inner_product(self.ctx, cells, bases)
        });
        let borrows = BigUint::from(u32::from(value(&lower) > &last % &base));
        let [borrow] = self.hint("borrow", [borrows]);
        let borrow = self.ctx.load_witness(biguint_to_fe(&borrow));
        self.gate().assert_bit(self.ctx, borrow);
        let gate = self.gate();
        let rest = gate.sub(self.ctx, big_constant(&(&last % &base)), lower);
        let rest = gate.mul_add(self.ctx, borrow, big_constant(&base), rest);
        self.check_bits(rest, half);
        let rest = gate.sub(self.ctx, big_constant(&(&last / &base)), upper);
        let rest = gate.sub(self.ctx, rest, borrow);
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
