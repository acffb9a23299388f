//! Arithmetic over Goldilocks inside BN254's field: integers with a known bound, reduced mod p when
//! the next operation would no longer fit.
//!
//! *Statement.* An `Int` is a cell that holds a non-negative integer below 2^bits, and stands for
//! its residue mod p. No operation wraps around r.
//! *Guarantees.* Two `Int`s that are asserted equal are equal mod p. A reduced `Int` is below 2^64
//! but may be x + p instead of x; what needs the one residue below p calls `canonical`.
//! *Hints* (quotient and remainder, inverse, parts of a split, borrow) go through `Chip::hint`, so
//! that a test can lie about each.

mod cells;
mod extension;
mod split;
#[cfg(test)]
mod tests;

use halo2_base::utils::{biguint_to_fe, fe_to_biguint};
use halo2_base::{AssignedValue, Context, QuantumCell};
use halo2_proofs::halo2curves::bn256::Fr;
use num_bigint::BigUint;
use plonky2::field::types::{Field64, PrimeField64};
use tally_circuits::F;

pub use extension::Ext;

use crate::side::{LIMBS, Side};

pub type Cell = AssignedValue<Fr>;

/// Bits of an element of Goldilocks.
pub const WORD: usize = 64;
/// p is between 2^63 and 2^64.
const MODULUS_FLOOR: usize = 63;
/// Bound for every value: quotient (rounded up to limbs) times p plus remainder stay below r.
const MAX_BITS: usize = 239;
/// Checks that the widest number is cut into: a limb has 8 bits or more.
const MAX_PARTS: usize = 8;
/// r is above 2^253.
const FIELD_FLOOR: usize = 253;

/// A non-negative integer below 2^bits.
#[derive(Clone, Copy, Debug)]
pub struct Int {
    pub cell: Cell,
    pub bits: usize,
}

/// A wrong witness for the `nth` hint of this name; tests only.
#[derive(Clone, Copy, Debug)]
pub struct Prank {
    pub name: &'static str,
    pub nth: usize,
    pub lie: fn(&mut [BigUint]),
}

/// One circuit under construction.
#[derive(Debug)]
pub struct Chip<'a> {
    pub ctx: &'a mut Context<Fr>,
    pub side: &'a mut Side,
    pub prank: Option<Prank>,
    limb: usize,
}

pub fn modulus() -> BigUint {
    BigUint::from(F::ORDER)
}

pub fn value(cell: &Cell) -> BigUint {
    fe_to_biguint(cell.value())
}

fn bits_of(constant: F) -> usize {
    (u64::BITS - constant.to_canonical_u64().leading_zeros()) as usize
}

/// ⌈log₂⌉ of how many terms a sum has.
fn carry(terms: usize) -> usize {
    terms.next_power_of_two().ilog2() as usize
}

pub fn constant(value: u64) -> QuantumCell<Fr> {
    QuantumCell::Constant(Fr::from(value))
}

fn big_constant(value: &BigUint) -> QuantumCell<Fr> {
    QuantumCell::Constant(biguint_to_fe(value))
}

fn big_witness(value: &BigUint) -> QuantumCell<Fr> {
    QuantumCell::Witness(biguint_to_fe(value))
}

impl<'a> Chip<'a> {
    pub fn new(
        ctx: &'a mut Context<Fr>,
        side: &'a mut Side,
        limb: usize,
        prank: Option<Prank>,
    ) -> Self {
        assert!(
            (MAX_BITS - MODULUS_FLOOR).next_multiple_of(limb) + WORD < FIELD_FLOOR,
            "a quotient of {limb}-bit limbs times p must not wrap"
        );
        Self {
            ctx,
            side,
            prank,
            limb,
        }
    }

    /// What the prover says the values are.
    fn hint<const N: usize>(&mut self, name: &'static str, honest: [BigUint; N]) -> [BigUint; N] {
        let mut values = honest;
        if let Some(prank) = &mut self.prank
            && prank.name == name
        {
            if prank.nth == 0 {
                (prank.lie)(&mut values);
                self.prank = None;
            } else {
                prank.nth -= 1;
            }
        }
        values
    }

    /// Below 2^bits.
    pub fn check_bits(&mut self, cell: Cell, bits: usize) {
        let most = LIMBS * self.limb;
        if bits > most {
            self.check_parts(cell, bits, most);
        } else {
            self.check_limbs(cell, bits);
        }
    }

    /// Σ partᵢ 2^(i · most), each part with as many limbs as a check takes.
    fn check_parts(&mut self, cell: Cell, bits: usize, most: usize) {
        let count = bits.div_ceil(most);
        let mut parts = [const { BigUint::ZERO }; MAX_PARTS];
        for (i, part) in parts.iter_mut().enumerate().take(count) {
            *part = value(&cell) >> (i * most);
            // The highest takes the rest, which has no more bits if the number has none.
            if i + 1 < count {
                *part %= BigUint::from(1u32) << most;
            }
        }
        let parts = self.hint("parts", parts);
        let parts = parts.iter().take(count).map(big_witness);
        let bases = (0..count).map(|i| big_constant(&(BigUint::from(1u32) << (i * most))));
        let terms: Vec<_> = parts.zip(bases).collect();
        let (sum, parts) = self.sum_of_products(&terms);
        self.ctx.constrain_equal(&sum, &cell);
        for (i, part) in parts.into_iter().enumerate() {
            self.check_limbs(part, most.min(bits - i * most));
        }
    }

    /// The highest limb, shifted up to a limb's end, is one too.
    fn check_limbs(&mut self, cell: Cell, bits: usize) {
        let (limb, used) = (self.limb, bits.div_ceil(self.limb));
        let seen = self.side.next_number(&cell);
        let mut limbs = [const { BigUint::ZERO }; LIMBS];
        for (i, part) in limbs.iter_mut().enumerate().take(used) {
            *part = &seen >> (i * limb);
            if i + 1 < used {
                *part %= BigUint::from(1u32) << limb;
            }
        }
        let limbs = self.hint("limbs", limbs).map(|part| biguint_to_fe(&part));
        let limbs = self.side.check(self.ctx, cell, limbs, used);
        let missing = used * limb - bits;
        if missing > 0 {
            let shift = constant(1 << missing);
            let shifted = self.gate(constant(0), limbs[used - 1].into(), shift);
            self.check_limbs(shifted, limb);
        }
    }

    /// A word of the proof: any integer below 2^64.
    pub fn witness(&mut self, value: F) -> Int {
        let word = Fr::from(value.to_canonical_u64());
        let cell = self.load(QuantumCell::Witness(word));
        self.check_bits(cell, WORD);
        Int { cell, bits: WORD }
    }

    pub fn constant(&mut self, value: F) -> Int {
        let word = value.to_canonical_u64();
        Int {
            cell: self.load(constant(word)),
            bits: bits_of(value),
        }
    }

    /// The same residue below 2^64: x = quotient · p + remainder.
    pub fn reduce(&mut self, x: Int) -> Int {
        if x.bits <= WORD {
            return x;
        }
        assert!(x.bits <= MAX_BITS);
        let (p, cell) = (big_constant(&modulus()), x.cell.into());
        let (v, seen) = (self.seen(&cell, 3), self.seen(&p, 2));
        let [quotient, remainder] = self.hint("reduce", [&v / &seen, &v % &seen]);
        let parts = [&remainder, &quotient].map(big_witness);
        let [remainder, quotient] = self.assert_gate([parts[0], parts[1], p, cell]);
        self.check_bits(remainder, WORD);
        self.check_bits(quotient, self.quotient_bits(x.bits));
        Int {
            cell: remainder,
            bits: WORD,
        }
    }

    fn quotient_bits(&self, bits: usize) -> usize {
        bits.saturating_sub(MODULUS_FLOOR)
            .next_multiple_of(self.limb)
            .max(self.limb)
    }

    /// x is a multiple of p.
    pub fn assert_zero(&mut self, x: Int) {
        assert!(x.bits <= MAX_BITS);
        let (p, cell) = (big_constant(&modulus()), x.cell.into());
        let (v, seen) = (self.seen(&cell, 3), self.seen(&p, 2));
        // What the first cell holds is taken away, should a test have it hold something.
        let first = self.seen(&constant(0), 0).min(v.clone());
        let [quotient] = self.hint("multiple", [(v - first) / seen]);
        let [_, quotient] = self.assert_gate([constant(0), big_witness(&quotient), p, cell]);
        self.check_bits(quotient, self.quotient_bits(x.bits));
    }

    pub fn assert_equal(&mut self, a: Int, b: Int) {
        let difference = self.sub(a, b);
        self.assert_zero(difference);
    }

    pub fn add(&mut self, a: Int, b: Int) -> Int {
        let (a, b) = self.fit(a, b, |a, b| a.max(b) + 1);
        let cell = self.gate(a.cell.into(), b.cell.into(), constant(1));
        Int {
            cell,
            bits: a.bits.max(b.bits) + 1,
        }
    }

    /// a + (a multiple of p that is at least b) − b.
    pub fn sub(&mut self, a: Int, b: Int) -> Int {
        let raised = |bits: usize| bits.saturating_sub(MODULUS_FLOOR) + WORD;
        let (a, b) = self.fit(a, b, |a, b| a.max(raised(b)) + 1);
        let multiple = modulus() << b.bits.saturating_sub(MODULUS_FLOOR);
        let (cell, _) = self.sum_of_products(&[
            (a.cell.into(), constant(1)),
            (b.cell.into(), QuantumCell::Constant(-Fr::one())),
            (constant(1), big_constant(&multiple)),
        ]);
        Int {
            cell,
            bits: a.bits.max(raised(b.bits)) + 1,
        }
    }

    pub fn mul(&mut self, a: Int, b: Int) -> Int {
        let (a, b) = self.fit(a, b, |a, b| a + b);
        let cell = self.gate(constant(0), a.cell.into(), b.cell.into());
        Int {
            cell,
            bits: a.bits + b.bits,
        }
    }

    /// Reduces the wider one, then the other, until the result has room.
    fn fit(&mut self, mut a: Int, mut b: Int, bits: impl Fn(usize, usize) -> usize) -> (Int, Int) {
        while bits(a.bits, b.bits) > MAX_BITS {
            if a.bits >= b.bits {
                a = self.reduce(a);
            } else {
                b = self.reduce(b);
            }
        }
        (a, b)
    }

    /// Σ cᵢ xᵢ.
    pub fn combine(&mut self, terms: &[(F, Int)]) -> Int {
        let carry = carry(terms.len());
        let mut bits = 1;
        let mut products = Vec::with_capacity(terms.len());
        for (c, x) in terms {
            let room = MAX_BITS - carry - bits_of(*c);
            let x = if x.bits > room { self.reduce(*x) } else { *x };
            bits = bits.max(bits_of(*c) + x.bits);
            products.push((x.cell.into(), constant(c.to_canonical_u64())));
        }
        let (cell, _) = self.sum_of_products(&products);
        Int {
            cell,
            bits: bits + carry,
        }
    }

    /// Σ aᵢ bᵢ.
    pub fn inner_product(&mut self, terms: &[(Int, Int)]) -> Int {
        let carry = carry(terms.len());
        let mut bits = 1;
        let mut products = Vec::with_capacity(terms.len());
        for (a, b) in terms {
            let (a, b) = self.fit(*a, *b, |a, b| a + b + carry);
            bits = bits.max(a.bits + b.bits);
            products.push((a.cell.into(), b.cell.into()));
        }
        let (cell, _) = self.sum_of_products(&products);
        Int {
            cell,
            bits: bits + carry,
        }
    }

    /// `yes` where the bit is set, else `no`.
    pub fn select(&mut self, bit: Cell, yes: Int, no: Int) -> Int {
        Int {
            cell: self.choose(bit, yes.cell, no.cell),
            bits: yes.bits.max(no.bits),
        }
    }

    /// The item whose index has these bits, lowest first.
    pub fn pick(&mut self, bits: &[Cell], items: &[Cell]) -> Cell {
        assert_eq!(items.len(), 1 << bits.len());
        let mut items = items.to_vec();
        for bit in bits {
            let pairs = items.chunks(2);
            items = pairs
                .map(|pair| self.choose(*bit, pair[1], pair[0]))
                .collect();
        }
        items[0]
    }
}
