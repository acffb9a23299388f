//! ecGFp5's subgroup of order n, affine: what the gates' generators and constants are made of.
//!
//! The curve is y² = x(x² + 2x + 263z) with 2n points, n an odd prime. The group of
//! `tally_protocol::signature` is the other coset of this subgroup; adding N = (0, 0) maps one to
//! the other and keeps sums. The element that w encodes is here the point with x a square and y =
//! −w·x. Its formulas are the textbook's; they have exceptions, which the circuits rule out.

use std::sync::OnceLock;

use plonky2::field::extension::Frobenius;
use plonky2::field::extension::quintic::QuinticExtension;
use plonky2::field::types::{Field, Field64, PrimeField};

use super::ring::Point;
use crate::F;

/// GF(p⁵).
pub type Fp5 = QuinticExtension<F>;

/// Coefficient of x².
pub const A: i64 = 2;
/// Coefficient of x, times z.
pub const B_Z: u64 = 263;
/// A scalar's parts, which are multiplied side by side, and their bits.
pub const CHUNKS: usize = 4;
pub const CHUNK_BITS: usize = 80;
/// x of the generator, whose encoding is 4.
const GENERATOR_X: [u64; 5] = [
    5_563_608_483_237_702_766,
    14_090_224_426_659_529_053,
    13_197_813_503_519_687_414,
    16_280_770_174_934_269_299,
    15_998_333_998_318_935_536,
];

/// A point but O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Affine {
    pub x: Fp5,
    pub y: Fp5,
}

/// b.
pub fn b() -> Fp5 {
    let mut b = Fp5::ZERO;
    b.0[1] = F::from_canonical_u64(B_Z);
    b
}

impl Affine {
    pub fn generator() -> Self {
        let x = QuinticExtension(GENERATOR_X.map(F::from_canonical_u64));
        let y = -(x + x + x + x);
        Self { x, y }
    }

    /// Slope of the tangent.
    pub fn tangent(&self) -> Fp5 {
        let square = self.x * self.x;
        let twice = Fp5::TWO;
        let rise = square * twice + square + self.x * twice * twice + b();
        rise * (self.y + self.y).try_inverse().unwrap_or_default()
    }

    pub fn double(&self) -> Self {
        self.third(self, self.tangent())
    }

    /// P + Q for P ≠ ±Q.
    pub fn add(&self, other: &Self) -> Self {
        let run = (self.x - other.x).try_inverse().unwrap_or_default();
        self.third(other, (self.y - other.y) * run)
    }

    pub fn neg(&self) -> Self {
        Self {
            x: self.x,
            y: -self.y,
        }
    }

    fn third(&self, other: &Self, slope: Fp5) -> Self {
        let x = slope * slope - Fp5::TWO - self.x - other.x;
        let y = slope * (self.x - x) - self.y;
        Self { x, y }
    }

    /// Of the group's element.
    pub fn encode(&self) -> Fp5 {
        -self.y / self.x
    }

    /// x, then y.
    pub fn elements(&self) -> [F; 10] {
        let mut elements = [F::ZERO; 10];
        elements[..5].copy_from_slice(&self.x.0);
        elements[5..].copy_from_slice(&self.y.0);
        elements
    }
}

/// A square root.
pub fn sqrt(a: Fp5) -> Option<Fp5> {
    if a.is_zero() {
        return Some(a);
    }
    // Let r be 1 + p + p² + p³ + p⁴ and e the power (r − 1)/2 = p·(1 + p²)·(p + 1)/2 of a. Then
    // a·e², the power r, is in GF(p), where it has a root exactly if a has one.
    let half = a.exp_u64((F::ORDER - 1) / 2 + 1);
    let e = (half * half.repeated_frobenius(2)).frobenius();
    let norm = (a * e * e).0[0];
    let root = norm.is_quadratic_residue().then(|| norm.sqrt())??;
    Some(a * e * Fp5::from(root.inverse()))
}

/// The point that w encodes, with the root of its x.
pub fn decode(w: Fp5) -> Option<(Fp5, Affine)> {
    // x² + (2 − w²)·x + b = 0; the product b of the two is no square, so one of them is.
    let sum = w * w - Fp5::TWO;
    let four = Fp5::from_canonical_u64(4);
    let d = sqrt(sum * sum - four * b())?;
    [sum + d, sum - d].into_iter().find_map(|twice| {
        let x = twice * Fp5::TWO.inverse();
        let y = -(w * x);
        Some((sqrt(x)?, Affine { x, y }))
    })
}

/// The coordinates of Σ ±2^(80·j)·G as polynomials in the four signs: coefficients of 1, s₀s₁,
/// s₀s₂, s₀s₃, s₁s₂, s₁s₃, s₂s₃, s₀s₁s₂s₃ for x; of s₀, s₁, s₂, s₃, s₀s₁s₂, s₀s₁s₃, s₀s₂s₃, s₁s₂s₃
/// for y.
pub fn table() -> &'static Point<[F; 8]> {
    static TABLE: OnceLock<Point<[F; 8]>> = OnceLock::new();
    TABLE.get_or_init(interpolate)
}

/// The signs of which each monomial is the product, by bits.
const EVEN: [u8; 8] = [
    0b0000, 0b0011, 0b0101, 0b1001, 0b0110, 0b1010, 0b1100, 0b1111,
];
const ODD: [u8; 8] = [
    0b0001, 0b0010, 0b0100, 0b1000, 0b0111, 0b1011, 0b1101, 0b1110,
];

fn interpolate() -> Point<[F; 8]> {
    let mut bases = [Affine::generator(); CHUNKS];
    for j in 1..CHUNKS {
        bases[j] = (0..CHUNK_BITS).fold(bases[j - 1], |point, _| point.double());
    }
    let sum = |minus: u8| {
        let signed = |j: usize| match minus >> j & 1 {
            0 => bases[j],
            _ => bases[j].neg(),
        };
        (1..CHUNKS).fold(signed(0), |sum, j| sum.add(&signed(j)))
    };
    let sums: [Affine; 1 << CHUNKS] = core::array::from_fn(|minus| sum(minus as u8));
    let scale = F::from_canonical_u64(1 << CHUNKS).inverse();
    // A coefficient is the mean over all signs of the value times the monomial's sign.
    let coefficient = |monomial: u8, value: &dyn Fn(&Affine) -> F| {
        let terms = sums.iter().enumerate().map(|(minus, sum)| {
            let odd = (minus as u8 & monomial).count_ones() % 2 == 1;
            if odd { -value(sum) } else { value(sum) }
        });
        terms.sum::<F>() * scale
    };
    Point {
        x: core::array::from_fn(|i| EVEN.map(|m| coefficient(m, &|sum| sum.x.0[i]))),
        y: core::array::from_fn(|i| ODD.map(|m| coefficient(m, &|sum| sum.y.0[i]))),
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;

    use super::*;

    /// n, by the limbs of the group's order.
    fn order() -> BigInt {
        let limbs = [
            0xe80f_d996_948b_ffe1u64,
            0xe888_5c39_d724_a09c,
            0x7fff_ffe6_cfb8_0639,
            0x7fff_fff1_0000_0016,
            0x7fff_fffd_8000_0007,
        ];
        let shifted = limbs.into_iter().rev();
        shifted.fold(BigInt::ZERO, |n, limb| (n << 64) + limb)
    }

    #[test]
    fn generator_is_on_the_curve_and_of_order_n() {
        let g = Affine::generator();
        assert_eq!(g.y * g.y, g.x * (g.x * g.x + Fp5::TWO * g.x + b()));
        assert_eq!(g.encode(), Fp5::from_canonical_u64(4));
        let (root, decoded) = decode(g.encode()).unwrap();
        assert_eq!((root * root, decoded), (g.x, g));
        // (n − 1)·G = −G, by the bits of n − 1 from the second highest.
        let n: BigInt = order() - 1;
        let product = (0..n.bits() - 1).rev().fold(g, |point, i| {
            let twice = point.double();
            if n.bit(i) { twice.add(&g) } else { twice }
        });
        assert_eq!(product, g.neg());
    }

    #[test]
    fn what_encodes_no_point_is_refused() {
        assert_eq!(decode(Fp5::ZERO), None);
        let refused = (1..65).filter(|&w| decode(Fp5::from_canonical_u64(w)).is_none());
        let refused = refused.count();
        assert!((16..48).contains(&refused), "{refused} of 64");
        for w in 1..65 {
            if let Some((root, a)) = decode(Fp5::from_canonical_u64(w)) {
                assert_eq!(root * root, a.x);
                assert_eq!(a.encode(), Fp5::from_canonical_u64(w));
                assert_eq!(a.y * a.y, a.x * (a.x * a.x + Fp5::TWO * a.x + b()));
            }
        }
    }

    #[test]
    fn the_table_holds_every_signed_sum() {
        let mut bases = vec![Affine::generator()];
        for j in 1..CHUNKS {
            let next = (0..CHUNK_BITS).fold(bases[j - 1], |point, _| point.double());
            bases.push(next);
        }
        for plus in 0..16u8 {
            let sign = |j: usize| plus >> j & 1 == 1;
            let signed = |j: usize| if sign(j) { bases[j] } else { bases[j].neg() };
            let sum = (1..CHUNKS).fold(signed(0), |sum, j| sum.add(&signed(j)));
            let value = |monomials: &[u8; 8], row: &[F; 8]| {
                let terms = monomials.iter().zip(row).map(|(&m, &weight)| {
                    let minus = (!plus & m).count_ones() % 2 == 1;
                    if minus { -weight } else { weight }
                });
                terms.sum::<F>()
            };
            let x = table().x.map(|row| value(&EVEN, &row));
            let y = table().y.map(|row| value(&ODD, &row));
            assert_eq!([x, y].concat(), sum.elements());
        }
    }

    /// Whether Σ dⱼ·2^(80·j) = v for odd dⱼ with |dⱼ| < 2^i (all 0 for i = 0): what the first i
    /// steps can add up to. Such a dⱼ is below 2^79, so it is the one residue there is.
    fn is_reached(v: &BigInt, i: usize) -> bool {
        let width = BigInt::from(1) << CHUNK_BITS;
        let mut rest = v.clone();
        for _ in 0..CHUNKS {
            let low = ((&rest % &width) + &width) % &width;
            let digit = if low.bit(CHUNK_BITS as u64 - 1) {
                low - &width
            } else {
                low
            };
            let fits = if i == 0 {
                digit == BigInt::ZERO
            } else {
                digit.bit(0) && digit.magnitude().bits() as usize <= i
            };
            if !fits {
                return false;
            }
            rest = (rest - digit) / &width;
        }
        rest == BigInt::ZERO
    }

    /// From 2G, whatever the bits: before each of the 80 steps the ladder stands at k·G with k ≠ 0
    /// and k ≠ ±q mod n for every q·G that a step can add. So no slope is free, and no step but the
    /// last can end at O.
    #[test]
    fn p3_a_fixed_ladder_meets_no_exception() {
        let n = order();
        let power = |j: usize| BigInt::from(1) << (CHUNK_BITS * j);
        let sums = (0..16u8).map(|plus| {
            let terms = (0..CHUNKS).map(|j| {
                if plus >> j & 1 == 1 {
                    power(j)
                } else {
                    -power(j)
                }
            });
            terms.sum::<BigInt>()
        });
        let forbidden: Vec<BigInt> = sums.chain([BigInt::ZERO]).collect();
        let mut tried = 0;
        for i in 0..CHUNK_BITS {
            let bound = (BigInt::from(1) << i) * (0..CHUNKS).map(power).sum::<BigInt>();
            for q in &forbidden {
                // Σ = q − 2^i·2 + j·n, for each j for which it may be reached.
                let first: BigInt = (q - (BigInt::from(2) << i)) % &n;
                for j in -3..=3 {
                    let v: BigInt = &first + &n * j;
                    if v.magnitude() <= bound.magnitude() {
                        tried += 1;
                        assert!(!is_reached(&v, i), "step {i}, {q}");
                    }
                }
            }
        }
        assert!(tried > 16 * CHUNK_BITS / 2, "{tried}");
        // The search finds what there is.
        let reached: BigInt = power(3) * 3 - power(2) + power(1) * 3 - 1;
        assert!(is_reached(&reached, 2) && !is_reached(&reached, 1));
    }
}
