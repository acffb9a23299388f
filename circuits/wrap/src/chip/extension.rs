//! GF(p²) over `Int`: `Algebra` as constraints.

use num_bigint::BigUint;
use plonky2::field::extension::FieldExtension;
use plonky2::field::types::{Field, PrimeField64};
use tally_circuits::F;

use super::{Chip, Int, MAX_BITS, big_witness, carry, modulus, value};
use crate::algebra::{Algebra, W};

/// An element; without a second part where that is known to be zero.
#[derive(Clone, Copy, Debug)]
pub struct Ext {
    pub low: Int,
    pub high: Option<Int>,
}

impl From<Int> for Ext {
    fn from(low: Int) -> Self {
        Self { low, high: None }
    }
}

impl Ext {
    pub fn new(low: Int, high: Int) -> Self {
        Self {
            low,
            high: Some(high),
        }
    }

    fn bits(&self) -> usize {
        self.low.bits.max(self.high.map_or(0, |high| high.bits))
    }

    fn native(&self) -> tally_circuits::Ext {
        let residue = |x: &Int| {
            let digits = (value(&x.cell) % modulus()).to_u64_digits();
            F::from_canonical_u64(digits.first().copied().unwrap_or(0))
        };
        let high = self.high.as_ref().map_or(F::ZERO, residue);
        tally_circuits::Ext::from_basefield_array([residue(&self.low), high])
    }
}

impl Chip<'_> {
    pub fn ext_witness(&mut self, value: tally_circuits::Ext) -> Ext {
        let [low, high] = value.to_basefield_array().map(|part| self.witness(part));
        Ext::new(low, high)
    }

    pub fn ext_reduce(&mut self, x: &Ext) -> Ext {
        Ext {
            low: self.reduce(x.low),
            high: x.high.map(|high| self.reduce(high)),
        }
    }

    pub fn ext_assert_equal(&mut self, a: &Ext, b: &Ext) {
        let difference = self.sub_ext(a, b);
        self.assert_zero(difference.low);
        if let Some(high) = difference.high {
            self.assert_zero(high);
        }
    }

    fn sub_ext(&mut self, a: &Ext, b: &Ext) -> Ext {
        let high = match (a.high, b.high) {
            (a, None) => a,
            (Some(a), Some(b)) => Some(self.sub(a, b)),
            (None, Some(b)) => {
                let zero = self.constant(F::ZERO);
                Some(self.sub(zero, b))
            }
        };
        Ext {
            low: self.sub(a.low, b.low),
            high,
        }
    }

    /// 1 / x, which also proves that x is not zero.
    pub fn ext_invert(&mut self, x: &Ext) -> Ext {
        let inverse = x.native().try_inverse().unwrap_or_default();
        let parts: [F; 2] = inverse.to_basefield_array();
        let parts = parts.map(|part| BigUint::from(part.to_canonical_u64()));
        let [low, high] = self.hint("invert", parts).map(|part| {
            let cell = self.load(big_witness(&part));
            self.check_bits(cell, super::WORD);
            Int {
                cell,
                bits: super::WORD,
            }
        });
        let inverse = Ext::new(low, high);
        let product = Algebra::mul(self, x, &inverse);
        let one = Ext::from(self.constant(F::ONE));
        self.ext_assert_equal(&product, &one);
        inverse
    }

    /// Σ aᵢ bᵢ of base elements b.
    pub fn ext_dot_base(&mut self, terms: &[(Ext, Int)]) -> Ext {
        let low: Vec<(Int, Int)> = terms.iter().map(|(a, b)| (a.low, *b)).collect();
        let high: Vec<(Int, Int)> = terms
            .iter()
            .filter_map(|(a, b)| Some((a.high?, *b)))
            .collect();
        Ext {
            low: self.inner_product(&low),
            high: (!high.is_empty()).then(|| self.inner_product(&high)),
        }
    }

    /// Reduces the wider one, then the other, until products of their parts have room.
    fn ext_fit(&mut self, mut a: Ext, mut b: Ext, margin: usize) -> (Ext, Ext) {
        while a.bits() + b.bits() + margin > MAX_BITS {
            if a.bits() >= b.bits() {
                a = self.ext_reduce(&a);
            } else {
                b = self.ext_reduce(&b);
            }
        }
        (a, b)
    }

    /// Σ aᵢ bᵢ.
    pub fn ext_dot(&mut self, terms: &[(Ext, Ext)]) -> Ext {
        let (mut low, mut squares, mut high) = (vec![], vec![], vec![]);
        // Once for all four products of parts; the margin is W's.
        let margin = carry(2 * terms.len()) + 4;
        for (a, b) in terms {
            let (a, b) = self.ext_fit(*a, *b, margin);
            low.push((a.low, b.low));
            squares.extend(a.high.zip(b.high));
            high.extend(b.high.map(|b| (a.low, b)));
            high.extend(a.high.map(|a| (a, b.low)));
        }
        let mut sum = self.inner_product(&low);
        if !squares.is_empty() {
            let squares = self.inner_product(&squares);
            let w = F::from_canonical_u64(W);
            sum = self.combine(&[(F::ONE, sum), (w, squares)]);
        }
        Ext {
            low: sum,
            high: (!high.is_empty()).then(|| self.inner_product(&high)),
        }
    }
}

impl Algebra for Chip<'_> {
    type E = Ext;

    fn constant(&mut self, value: F) -> Ext {
        Chip::constant(self, value).into()
    }

    fn add(&mut self, a: &Ext, b: &Ext) -> Ext {
        let high = match (a.high, b.high) {
            (Some(a), Some(b)) => Some(Chip::add(self, a, b)),
            (a, b) => a.or(b),
        };
        Ext {
            low: Chip::add(self, a.low, b.low),
            high,
        }
    }

    fn sub(&mut self, a: &Ext, b: &Ext) -> Ext {
        self.sub_ext(a, b)
    }

    fn mul(&mut self, a: &Ext, b: &Ext) -> Ext {
        self.ext_dot(&[(*a, *b)])
    }

    fn settle(&mut self, x: &Ext) -> Ext {
        self.ext_reduce(x)
    }

    fn dot(&mut self, terms: &[(Ext, Ext)]) -> Ext {
        self.ext_dot(terms)
    }

    fn combine(&mut self, terms: &[(F, Ext)]) -> Ext {
        let low: Vec<(F, Int)> = terms.iter().map(|(c, x)| (*c, x.low)).collect();
        let high: Vec<(F, Int)> = terms
            .iter()
            .filter_map(|(c, x)| Some((*c, x.high?)))
            .collect();
        Ext {
            low: Chip::combine(self, &low),
            high: (!high.is_empty()).then(|| Chip::combine(self, &high)),
        }
    }
}
