//! Constraints written once for every evaluation path: over field elements (base, extension,
//! packed) and over the targets of a circuit that verifies a proof. Above it GF(p⁵), five elements
//! each.

use core::marker::PhantomData;

use plonky2::field::packed::PackedField;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::plonk::circuit_builder::CircuitBuilder;

use crate::{D, F};

/// z⁵ in GF(p⁵).
const Z5: i8 = 3;

/// What a constraint is made of.
pub trait Ring {
    type Element: Copy;

    fn constant(&mut self, value: F) -> Self::Element;

    fn sum(&mut self, x: Self::Element, y: Self::Element) -> Self::Element;

    fn difference(&mut self, x: Self::Element, y: Self::Element) -> Self::Element;

    /// z + c·x·y, for |c| of 1, 2, 3 or 6.
    fn product(
        &mut self,
        c: i8,
        x: Self::Element,
        y: Self::Element,
        z: Self::Element,
    ) -> Self::Element;

    /// z + c·x
    fn scaled(&mut self, c: F, x: Self::Element, z: Self::Element) -> Self::Element;
}

/// Field elements, one or several side by side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<P>(PhantomData<P>);

impl<P> Values<P> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<P: PackedField> Ring for Values<P> {
    type Element = P;

    #[inline(always)]
    fn constant(&mut self, value: F) -> P {
        P::ZEROS + P::Scalar::from_canonical_u64(value.to_canonical_u64())
    }

    #[inline(always)]
    fn sum(&mut self, x: P, y: P) -> P {
        x + y
    }

    #[inline(always)]
    fn difference(&mut self, x: P, y: P) -> P {
        x - y
    }

    #[inline(always)]
    fn product(&mut self, c: i8, x: P, y: P, z: P) -> P {
        let product = x * y;
        let multiple = match c.unsigned_abs() {
            1 => product,
            2 => product + product,
            3 => product + product + product,
            _ => {
                let triple = product + product + product;
                triple + triple
            }
        };
        if c > 0 { z + multiple } else { z - multiple }
    }

    #[inline(always)]
    fn scaled(&mut self, c: F, x: P, z: P) -> P {
        z + x * P::Scalar::from_canonical_u64(c.to_canonical_u64())
    }
}

impl Ring for CircuitBuilder<F, D> {
    type Element = ExtensionTarget<D>;

    fn constant(&mut self, value: F) -> Self::Element {
        self.constant_extension(value.into())
    }

    fn sum(&mut self, x: Self::Element, y: Self::Element) -> Self::Element {
        self.add_extension(x, y)
    }

    fn difference(&mut self, x: Self::Element, y: Self::Element) -> Self::Element {
        self.sub_extension(x, y)
    }

    fn product(
        &mut self,
        c: i8,
        x: Self::Element,
        y: Self::Element,
        z: Self::Element,
    ) -> Self::Element {
        let c = F::from_noncanonical_i64(c.into());
        self.arithmetic_extension(c, F::ONE, x, y, z)
    }

    fn scaled(&mut self, c: F, x: Self::Element, z: Self::Element) -> Self::Element {
        let one = self.one_extension();
        self.arithmetic_extension(c, F::ONE, x, one, z)
    }
}

/// An element of GF(p⁵).
pub type Quintic<T> = [T; 5];

/// A point by its coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<T> {
    pub x: Quintic<T>,
    pub y: Quintic<T>,
}

pub fn zero<R: Ring>(r: &mut R) -> Quintic<R::Element> {
    [r.constant(F::ZERO); 5]
}

#[inline(always)]
pub fn add<R: Ring>(
    r: &mut R,
    x: Quintic<R::Element>,
    y: Quintic<R::Element>,
) -> Quintic<R::Element> {
    core::array::from_fn(|i| r.sum(x[i], y[i]))
}

#[inline(always)]
pub fn sub<R: Ring>(
    r: &mut R,
    x: Quintic<R::Element>,
    y: Quintic<R::Element>,
) -> Quintic<R::Element> {
    core::array::from_fn(|i| r.difference(x[i], y[i]))
}

/// z + c·x
#[inline(always)]
pub fn scale<R: Ring>(
    r: &mut R,
    c: i64,
    x: Quintic<R::Element>,
    z: Quintic<R::Element>,
) -> Quintic<R::Element> {
    let c = F::from_noncanonical_i64(c);
    core::array::from_fn(|i| r.scaled(c, x[i], z[i]))
}

/// x + c·z^power
#[inline(always)]
pub fn shift<R: Ring>(
    r: &mut R,
    mut x: Quintic<R::Element>,
    c: i64,
    power: usize,
) -> Quintic<R::Element> {
    let c = r.constant(F::from_noncanonical_i64(c));
    x[power] = r.sum(x[power], c);
    x
}

/// z + sign·x·y
#[inline(always)]
pub fn product<R: Ring>(
    r: &mut R,
    sign: i8,
    x: Quintic<R::Element>,
    y: Quintic<R::Element>,
    mut z: Quintic<R::Element>,
) -> Quintic<R::Element> {
    for i in 0..5 {
        for j in 0..5 {
            let (k, c) = place(i + j);
            z[k] = r.product(sign * c, x[i], y[j], z[k]);
        }
    }
    z
}

/// z + sign·x²
#[inline(always)]
pub fn square<R: Ring>(
    r: &mut R,
    sign: i8,
    x: Quintic<R::Element>,
    mut z: Quintic<R::Element>,
) -> Quintic<R::Element> {
    for i in 0..5 {
        for j in i..5 {
            let (k, c) = place(i + j);
            let twice = if i == j { 1 } else { 2 };
            z[k] = r.product(sign * c * twice, x[i], x[j], z[k]);
        }
    }
    z
}

/// Where z^power goes, and times what.
const fn place(power: usize) -> (usize, i8) {
    if power < 5 {
        (power, 1)
    } else {
        (power - 5, Z5)
    }
}
