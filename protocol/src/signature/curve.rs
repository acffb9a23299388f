//! ecGFp5 (Pornin, eprint 2022/274): y² = x(x² + 2x + 263z) over GF(p⁵), a *double-odd* curve of
//! 2n points, n prime with 319 bits.
//!
//! The group is the set of points that are not in the subgroup of order n: each is P + N for one P
//! of that subgroup, with N = (0, 0), and (P + N) + (Q + N) is P + Q + N. Its order is n, so there
//! is no cofactor and no small subgroup; its neutral element is N. A point is (x, u) with u = x/y,
//! N being (0, 0), and its encoding is w = y/x, or 0 for N. The formulas are complete and branch on
//! nothing.
//!
//! Both x and b/x belong to one w; x, the one that is no square, is the group's. The other is that
//! of −P: who takes it has the negated point in the subgroup of order n.

use crate::account::PublicKey;
use crate::hash::F;
use crate::signature::field::Fp5;

/// b = B_Z·z.
pub const B_Z: u32 = 263;
/// n, limbs of 64 bits, lowest first.
pub const ORDER: [u64; 5] = [
    0xe80f_d996_948b_ffe1,
    0xe888_5c39_d724_a09c,
    0x7fff_ffe6_cfb8_0639,
    0x7fff_fff1_0000_0016,
    0x7fff_fffd_8000_0007,
];
/// Bits of n.
pub const ORDER_BITS: usize = 319;

/// Projective: x = X/Z, u = U/T.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    x: Fp5,
    z: Fp5,
    u: Fp5,
    t: Fp5,
}

/// Z = T = 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Affine {
    pub x: Fp5,
    pub u: Fp5,
}

impl Affine {
    pub const NEUTRAL: Self = Self {
        x: Fp5::ZERO,
        u: Fp5::ZERO,
    };
    /// The conventional generator: the point with w = 4.
    pub const GENERATOR: Self = Self {
        x: Fp5::constant([
            12_883_135_586_176_881_569,
            4_356_519_642_755_055_268,
            5_248_930_565_894_896_907,
            2_165_973_894_480_315_022,
            2_448_410_071_095_648_785,
        ]),
        u: Fp5::constant([13_835_058_052_060_938_241, 0, 0, 0, 0]),
    };

    #[inline]
    pub fn neg(&self) -> Self {
        Self {
            x: self.x,
            u: self.u.neg(),
        }
    }

    /// `self` where the mask is 0, `other` where it is all ones.
    #[inline]
    pub(super) fn select(&self, other: &Self, mask: u64) -> Self {
        Self {
            x: self.x.select(&other.x, mask),
            u: self.u.select(&other.u, mask),
        }
    }

    /// Solves x² + (2 − w²)·x + b = 0 for the x that is no square. `None` where w encodes no point
    /// of the group. Variable time.
    pub fn decode(w: &Fp5) -> Option<Self> {
        if w.is_zero() {
            return Some(Self::NEUTRAL);
        }
        let two = Fp5::ONE.double();
        let e = w.square().sub(&two);
        let root = e.square().sub(&Fp5::ONE.times_z(4 * B_Z)).sqrt()?;
        let half = |value: Fp5| value.mul(&Fp5::constant(HALF));
        let plus = half(e.add(&root));
        let x = if plus.is_square() {
            half(e.sub(&root))
        } else {
            plus
        };
        Some(Self { x, u: w.inverse() })
    }
}

/// (p + 1)/2.
const HALF: [u64; 5] = [0x7fff_ffff_8000_0001, 0, 0, 0, 0];

impl From<Affine> for Point {
    fn from(affine: Affine) -> Self {
        Self {
            x: affine.x,
            z: Fp5::ONE,
            u: affine.u,
            t: Fp5::ONE,
        }
    }
}

impl Point {
    pub const NEUTRAL: Self = Self {
        x: Fp5::ZERO,
        z: Fp5::ONE,
        u: Fp5::ZERO,
        t: Fp5::ONE,
    };

    /// The encoding w as five elements. `None` for what no canonical encoding is.
    pub fn decode(key: &PublicKey) -> Option<Affine> {
        Affine::decode(&Fp5::from(*key))
    }

    /// w = T/U, 0 for the neutral point.
    pub fn encode(&self) -> PublicKey {
        self.t.mul(&self.u.inverse()).into()
    }

    /// Whether this is the point that w encodes, without the inversion: u determines the point.
    pub fn is_encoded_by(&self, w: &[F; 5]) -> bool {
        let w = Fp5::from(*w);
        if w.is_zero() || self.u.is_zero() {
            return w.is_zero() && self.u.is_zero();
        }
        w.mul(&self.u) == self.t
    }

    /// In variable time.
    pub fn is_neutral(&self) -> bool {
        self.u.is_zero()
    }

    pub fn neg(&self) -> Self {
        Self {
            u: self.u.neg(),
            ..*self
        }
    }

    /// Complete: both may be equal, opposite or neutral. 10 products.
    #[inline]
    pub fn add(&self, other: &Self) -> Self {
        let xx = self.x.mul(&other.x);
        let zz = self.z.mul(&other.z);
        let uu = self.u.mul(&other.u);
        let tt = self.t.mul(&other.t);
        let cross = |a: &Fp5, b: &Fp5, c: &Fp5, d: &Fp5| a.add(b).mul(&c.add(d));
        let xz = cross(&self.x, &self.z, &other.x, &other.z);
        let ut = cross(&self.u, &self.t, &other.u, &other.t);
        let xz = xz.sub(&xx).sub(&zz);
        let ut = ut.sub(&uu).sub(&tt);
        combine(&xx, &zz, &uu, &tt, &xz, &ut)
    }

    /// `add` with Z = T = 1 on the right: 8 products.
    #[inline]
    pub fn add_affine(&self, other: &Affine) -> Self {
        let xx = self.x.mul(&other.x);
        let uu = self.u.mul(&other.u);
        let xz = self.x.add(&other.x.mul(&self.z));
        let ut = self.u.add(&other.u.mul(&self.t));
        combine(&xx, &self.z, &uu, &self.t, &xz, &ut)
    }

    pub fn double(&self) -> Self {
        self.double_times(1)
    }

    /// 2^times·P; cheaper than doublings one by one.
    ///
    /// Through the isogeny to y² = x(x² − 4x + 4 − 4b) and back, in (X : W : Z) with x = X/Z² and
    /// y/x = W/Z; further doublings stay in these coordinates.
    pub fn double_times(&self, times: u32) -> Self {
        if times == 0 {
            return *self;
        }
        let (uu, tt, ut) = (self.u.square(), self.t.square(), self.u.mul(&self.t));
        let z = self.z.mul(&ut);
        let ztt = self.z.mul(&tt);
        let w = self.x.add(&self.z).double().mul(&uu).sub(&ztt);
        let zz = z.square();
        let mut out = Jacobian {
            x: zz.square().times_z(16 * B_Z),
            w: w.square()
                .sub(&ztt.square().double())
                .add(&zz.double().double()),
            z: z.mul(&w).double(),
        };
        for _ in 1..times {
            out = out.double();
        }
        out.into()
    }
}

/// The second half of an addition, from products and sums of products.
#[inline]
fn combine(xx: &Fp5, zz: &Fp5, uu: &Fp5, tt: &Fp5, xz: &Fp5, ut: &Fp5) -> Point {
    let bzz = zz.times_z(B_Z);
    let sum = xx.add(&bzz);
    let t8 = tt.mul(&sum);
    let t9 = uu.mul(&xz.times_z(2 * B_Z).add(&sum.double()));
    let t10 = tt.add(&uu.double()).mul(&xz.add(&sum));
    Point {
        x: t10.sub(&t8).times_z(B_Z),
        z: t8.sub(&t9),
        u: ut.mul(&bzz.sub(xx)),
        t: t8.add(&t9),
    }
}

/// x = X/Z², y/x = W/Z; the neutral point is (0 : W : 0).
#[derive(Clone, Copy)]
struct Jacobian {
    x: Fp5,
    w: Fp5,
    z: Fp5,
}

impl Jacobian {
    /// W′ = (4 − 4b)·Z⁴ − W⁴ is the curve's equation put into W′ of `double_times`.
    #[inline]
    fn double(&self) -> Self {
        let (ww, zz) = (self.w.square(), self.z.square());
        let wz = self.w.mul(&self.z);
        let z4 = zz.square().double().double();
        let d = self.x.add(&zz).double().sub(&ww);
        Self {
            x: wz.square().square().times_z(16 * B_Z),
            w: z4.sub(&z4.times_z(B_Z)).sub(&ww.square()),
            z: d.mul(&wz).double(),
        }
    }
}

impl From<Jacobian> for Point {
    fn from(p: Jacobian) -> Self {
        let zz = p.z.square();
        // x = 0/0 for the neutral point: there Z is set to 1.
        let z = zz.select(&Fp5::ONE, zz.zero_mask());
        Self {
            x: p.x,
            z,
            u: p.z,
            t: p.w,
        }
    }
}

impl PartialEq for Point {
    /// u determines the point. Variable time.
    fn eq(&self, other: &Self) -> bool {
        self.u.mul(&other.t) == other.u.mul(&self.t)
    }
}

impl Eq for Point {}

/// All with Z = T = 1, with one inversion.
pub(super) fn to_affine(points: &[Point]) -> Vec<Affine> {
    let mut product = Fp5::ONE;
    let mut before = Vec::with_capacity(points.len());
    for point in points {
        before.push(product);
        product = product.mul(&point.z.mul(&point.t));
    }
    let mut inverse = product.inverse();
    let mut out: Vec<Affine> = Vec::with_capacity(points.len());
    for (point, before) in points.iter().zip(before).rev() {
        let zt = inverse.mul(&before);
        inverse = inverse.mul(&point.z.mul(&point.t));
        out.push(Affine {
            x: point.x.mul(&zt.mul(&point.t)),
            u: point.u.mul(&zt.mul(&point.z)),
        });
    }
    out.reverse();
    out
}
