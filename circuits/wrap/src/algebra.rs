//! GF(p²) as far as a verifier computes in it, so that each check is written once and runs twice:
//! natively, where tests compare it with Plonky2, and as constraints.

use plonky2::field::extension::Extendable;
use plonky2::field::types::Field;
use tally_circuits::{D, Ext, F};

/// u² = W in GF(p²).
pub const W: u64 = 7;

pub trait Algebra {
    type E: Clone;

    fn constant(&mut self, value: F) -> Self::E;
    fn add(&mut self, a: &Self::E, b: &Self::E) -> Self::E;
    fn sub(&mut self, a: &Self::E, b: &Self::E) -> Self::E;
    fn mul(&mut self, a: &Self::E, b: &Self::E) -> Self::E;
    /// Σ coefficient · term.
    fn combine(&mut self, terms: &[(F, Self::E)]) -> Self::E;

    /// The same value, made ready to be used more than once.
    fn settle(&mut self, x: &Self::E) -> Self::E {
        x.clone()
    }

    /// Σ aᵢ bᵢ.
    fn dot(&mut self, terms: &[(Self::E, Self::E)]) -> Self::E {
        let products: Vec<(F, Self::E)> = terms
            .iter()
            .map(|(a, b)| (F::ONE, self.mul(a, b)))
            .collect();
        self.combine(&products)
    }

    fn product(&mut self, factors: &[Self::E]) -> Self::E {
        let (first, rest) = factors.split_first().expect("a product has factors");
        rest.iter()
            .fold(first.clone(), |product, factor| self.mul(&product, factor))
    }

    /// Σ termsᵢ pointⁱ.
    fn evaluate(&mut self, terms: &[Self::E], point: &Self::E) -> Self::E {
        let (last, rest) = terms.split_last().expect("a polynomial has coefficients");
        rest.iter().rev().fold(last.clone(), |sum, term| {
            let shifted = self.mul(&sum, point);
            self.add(&shifted, term)
        })
    }

    fn seventh_power(&mut self, x: &Self::E) -> Self::E {
        let x = &self.settle(x);
        let square = self.mul(x, x);
        let square = self.settle(&square);
        let cube = self.mul(&square, x);
        let fourth = self.mul(&square, &square);
        self.mul(&cube, &fourth)
    }
}

/// The field itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

impl Algebra for Native {
    type E = Ext;

    fn constant(&mut self, value: F) -> Ext {
        value.into()
    }

    fn add(&mut self, a: &Ext, b: &Ext) -> Ext {
        *a + *b
    }

    fn sub(&mut self, a: &Ext, b: &Ext) -> Ext {
        *a - *b
    }

    fn mul(&mut self, a: &Ext, b: &Ext) -> Ext {
        *a * *b
    }

    fn combine(&mut self, terms: &[(F, Ext)]) -> Ext {
        terms
            .iter()
            .fold(Ext::ZERO, |sum, (c, x)| sum + *x * Ext::from(*c))
    }
}

/// GF(p²)[v]/(v² − W): what two wires that hold an extension element become at a point outside of
/// the domain.
pub type Pair<E> = [E; D];

pub fn pair_mul<A: Algebra>(algebra: &mut A, a: &Pair<A::E>, b: &Pair<A::E>) -> Pair<A::E> {
    let low = algebra.mul(&a[0], &b[0]);
    let high = algebra.mul(&a[1], &b[1]);
    let [left, right] = [algebra.mul(&a[0], &b[1]), algebra.mul(&a[1], &b[0])];
    let w = <F as Extendable<D>>::W;
    debug_assert_eq!(w, F::from_canonical_u64(W));
    [
        algebra.combine(&[(F::ONE, low), (w, high)]),
        algebra.add(&left, &right),
    ]
}

pub fn pair_add<A: Algebra>(algebra: &mut A, a: &Pair<A::E>, b: &Pair<A::E>) -> Pair<A::E> {
    [algebra.add(&a[0], &b[0]), algebra.add(&a[1], &b[1])]
}

pub fn pair_sub<A: Algebra>(algebra: &mut A, a: &Pair<A::E>, b: &Pair<A::E>) -> Pair<A::E> {
    [algebra.sub(&a[0], &b[0]), algebra.sub(&a[1], &b[1])]
}

/// By an element of GF(p²).
pub fn pair_scale<A: Algebra>(algebra: &mut A, a: &Pair<A::E>, by: &A::E) -> Pair<A::E> {
    [algebra.mul(&a[0], by), algebra.mul(&a[1], by)]
}
