//! The curve in big integers and affine coordinates, from its definition: nothing here is shared
//! with the code that it checks.

use num_bigint::BigUint;
use proptest::prelude::*;

use crate::signature::curve::{Affine, ORDER, Point};
use crate::signature::multiply;
use crate::signature::{Fp5, Scalar};

fn p() -> BigUint {
    (BigUint::from(1u8) << 64) - (BigUint::from(1u8) << 32) + 1u8
}

pub fn order() -> BigUint {
    number(&ORDER)
}

fn number(limbs: &[u64]) -> BigUint {
    let limbs = limbs.iter().rev();
    limbs.fold(BigUint::default(), |acc, limb| (acc << 64) + *limb)
}

fn scalar(value: &BigUint) -> Scalar {
    let mut limbs = (value % order()).to_u64_digits();
    limbs.resize(5, 0);
    Scalar::new(limbs.try_into().unwrap()).unwrap()
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Slow([BigUint; 5]);

impl Slow {
    fn of(value: &Fp5) -> Self {
        Self(value.coefficients().map(BigUint::from))
    }

    fn small(value: u32) -> Self {
        let mut zero = Self(Default::default());
        zero.0[0] = value.into();
        zero
    }

    fn add(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| (&self.0[i] + &other.0[i]) % p()))
    }

    fn sub(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| {
            (&self.0[i] + p() - &other.0[i]) % p()
        }))
    }

    fn mul(&self, other: &Self) -> Self {
        let mut out = [(); 5].map(|()| BigUint::default());
        for i in 0..5 {
            for j in 0..5 {
                let factor = if i + j < 5 { 1u8 } else { 3 };
                out[(i + j) % 5] += &self.0[i] * &other.0[j] * factor;
            }
        }
        Self(out.map(|c| c % p()))
    }

    fn power(&self, exponent: &BigUint) -> Self {
        let mut out = Self::small(1);
        for bit in (0..exponent.bits()).rev() {
            out = out.mul(&out);
            if exponent.bit(bit) {
                out = out.mul(self);
            }
        }
        out
    }

    fn inverse(&self) -> Self {
        self.power(&(p().pow(5) - 2u8))
    }
}

/// On the whole curve, `None` at infinity.
type Place = Option<(Slow, Slow)>;

fn b() -> Slow {
    let mut b = Slow::small(0);
    b.0[1] = 263u32.into();
    b
}

fn chord(left: &Place, right: &Place) -> Place {
    let (Some((x1, y1)), Some((x2, y2))) = (left, right) else {
        return left.clone().or(right.clone());
    };
    let slope = if x1 != x2 {
        y2.sub(y1).mul(&x2.sub(x1).inverse())
    } else if y1 == y2 && *y1 != Slow::small(0) {
        let three = x1.mul(x1).mul(&Slow::small(3));
        let above = three.add(&x1.mul(&Slow::small(4))).add(&b());
        above.mul(&y1.add(y1).inverse())
    } else {
        return None;
    };
    let x3 = slope.mul(&slope).sub(&Slow::small(2)).sub(x1).sub(x2);
    let y3 = slope.mul(&x1.sub(&x3)).sub(y1);
    Some((x3, y3))
}

fn two_torsion() -> Place {
    Some((Slow::small(0), Slow::small(0)))
}

/// The group's law: the chord's, and N.
fn law(left: &Place, right: &Place) -> Place {
    chord(&chord(left, right), &two_torsion())
}

fn place(point: &Affine) -> Place {
    let (x, u) = (Slow::of(&point.x), Slow::of(&point.u));
    let y = x.mul(&u.inverse());
    Some((x, y))
}

/// Equality with a point of the model, which is on the curve and not at infinity.
fn agrees(point: &Point, expected: &Place) {
    let (x, y) = expected.clone().unwrap();
    let rhs = x.mul(&x).add(&x.add(&x)).add(&b());
    assert_eq!(y.mul(&y), x.mul(&rhs));
    let w = y.mul(&x.inverse());
    let coordinates = Slow::of(&Fp5::from(point.encode()));
    assert_eq!(coordinates, w);
    let affine = crate::signature::curve::to_affine(&[*point])[0];
    assert_eq!(Slow::of(&affine.x), x);
}

fn times(place: &Place, factor: &BigUint) -> Place {
    let mut out = two_torsion();
    for bit in (0..factor.bits()).rev() {
        out = law(&out, &out);
        if factor.bit(bit) {
            out = law(&out, place);
        }
    }
    out
}

fn miller_rabin(n: &BigUint) -> bool {
    let one = BigUint::from(1u8);
    let even = n - 1u8;
    let twos = even.trailing_zeros().unwrap();
    let odd = &even >> twos;
    let bases = [
        2u32, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53,
    ];
    bases.into_iter().all(|base| {
        let mut power = BigUint::from(base).modpow(&odd, n);
        let mut passes = power == one || power == even;
        for _ in 1..twos {
            power = &power * &power % n;
            passes |= power == even;
        }
        passes
    })
}

#[test]
fn s5_the_order_is_prime_and_the_generator_has_it() {
    let n = order();
    assert!(miller_rabin(&n) && n.bits() == 319);
    assert!(!miller_rabin(&(&n + 2u8)));
    let generator = place(&Affine::GENERATOR);
    agrees(&Affine::GENERATOR.into(), &generator);
    assert_eq!(times(&generator, &n), two_torsion());
    // 2n points within Hasse's bound, |2n − q − 1| ≤ 2√q: no other multiple of n is.
    let (q, count) = (p().pow(5) + 1u8, &n * 2u8);
    let distance = if q > count { &q - &count } else { &count - &q };
    assert!(distance <= q.sqrt() * 2u8 && n > q.sqrt() * 4u8);
}

#[test]
fn s5_constants_of_field_and_scalars_are_what_they_say() {
    assert_eq!(p() % 5u8, BigUint::from(1u8));
    assert_ne!(Slow::small(3).power(&((p() - 1u8) / 5u8)), Slow::small(1));
    for limbs in [[7, 1, 2, 3, 4], [u64::MAX - (1 << 32); 5]] {
        let value = Fp5::new(limbs).unwrap();
        assert_eq!(value.mul(&value.inverse()), Fp5::ONE);
        assert_eq!(Slow::of(&value.inverse()), Slow::of(&value).inverse());
    }
    assert_eq!(Fp5::ZERO.inverse(), Fp5::ZERO);
    assert!(Fp5::new([0, 0, 0, 0, 0xffff_ffff_0000_0001]).is_none());
    assert!(Scalar::new(ORDER).is_none());
}

fn element() -> impl Strategy<Value = Fp5> {
    // Half of the coefficients at the edges, where carries are.
    let edge = prop::sample::select(vec![0u64, 1, 0xffff_ffff, 1 << 32, 0xffff_ffff_0000_0000]);
    let any = (0u64..0xffff_ffff_0000_0001).boxed();
    let coefficient = prop_oneof![edge.boxed(), any];
    prop::array::uniform5(coefficient).prop_map(|c| Fp5::new(c).unwrap())
}

fn wide() -> impl Strategy<Value = [u8; 64]> {
    prop_oneof![
        Just([0xff; 64]),
        Just([0; 64]),
        prop::array::uniform32(any::<u8>())
            .prop_map(|half| core::array::from_fn(|i| half[i % 32].rotate_left(i as u32 / 32)))
    ]
}

fn point(factor: u64) -> Point {
    multiply::generator_times(&Scalar::from(u128::from(factor)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn s5_field_agrees_with_big_integers(a in element(), b in element(), k in any::<u16>()) {
        let (x, y) = (Slow::of(&a), Slow::of(&b));
        prop_assert_eq!(Slow::of(&a.add(&b)), x.add(&y));
        prop_assert_eq!(Slow::of(&a.sub(&b)), x.sub(&y));
        prop_assert_eq!(Slow::of(&a.mul(&b)), x.mul(&y));
        prop_assert_eq!(Slow::of(&a.square()), x.mul(&x));
        prop_assert_eq!(Slow::of(&a.times(k.into())), x.mul(&Slow::small(k.into())));
        let z = Fp5::new([0, k.into(), 0, 0, 0]).unwrap();
        prop_assert_eq!(a.times_z(k.into()), a.mul(&z));
        prop_assert_eq!(a.zero_mask(), if a.is_zero() { u64::MAX } else { 0 });
    }

    #[test]
    fn s5_roots_are_roots_of_squares_and_of_nothing_else(a in element()) {
        let square = a.square();
        let root = square.sqrt().unwrap();
        prop_assert!(square.is_square() && (root == a || root == a.neg()));
        // 7 generates GF(p)'s units, so it is no square there; nor here, the degree being odd.
        let other = square.times(7);
        prop_assert_eq!(other.is_square(), a.is_zero());
        prop_assert_eq!(other.sqrt().is_some(), a.is_zero());
    }

    #[test]
    fn s5_scalars_agree_with_big_integers(a in wide(), b in wide()) {
        let wide = |bytes: &[u8; 64]| BigUint::from_bytes_le(bytes);
        let (x, y) = (Scalar::reduce(&a), Scalar::reduce(&b));
        let n = order();
        prop_assert_eq!(number(&x.limbs()), wide(&a) % &n);
        prop_assert_eq!(number(&x.mul(&y).limbs()), wide(&a) * wide(&b) % &n);
        prop_assert_eq!(number(&x.add(&y).limbs()), (wide(&a) + wide(&b)) % &n);
        prop_assert_eq!(Scalar::from_bytes(&x.to_bytes()), Some(x));
    }

    #[test]
    fn s5_digits_add_up(a in wide(), window in 2usize..8) {
        let scalar = Scalar::reduce(&a);
        let value = number(&scalar.limbs());
        let (mut plus, mut minus) = (BigUint::default(), BigUint::default());
        for (place, (magnitude, sign)) in multiply::digits(scalar.limbs(), window).enumerate() {
            let side = if sign == 0 { &mut plus } else { &mut minus };
            *side += BigUint::from(magnitude) << (place * window);
            prop_assert!(magnitude <= 1 << (window - 1));
        }
        prop_assert_eq!(plus - minus, value.clone());
        let (mut plus, mut minus) = (BigUint::default(), BigUint::default());
        for (place, digit) in multiply::naf(scalar.limbs(), window).into_iter().enumerate() {
            let side = if digit >= 0 { &mut plus } else { &mut minus };
            *side += BigUint::from(digit.unsigned_abs()) << place;
            prop_assert!(digit == 0 || digit % 2 != 0);
        }
        prop_assert_eq!(plus - minus, value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn s5_the_group_agrees_with_its_definition(i in 1u64.., j in 1u64.., times in 1u32..5) {
        let (a, b) = (point(i), point(j));
        let slow = |point: &Point| place(&crate::signature::curve::to_affine(&[*point])[0]);
        agrees(&a.add(&b), &law(&slow(&a), &slow(&b)));
        agrees(&a.add(&a), &law(&slow(&a), &slow(&a)));
        let mut doubled = slow(&a);
        for _ in 0..times {
            doubled = law(&doubled, &doubled);
        }
        agrees(&a.double_times(times), &doubled);
        let affine = crate::signature::curve::to_affine(&[b])[0];
        prop_assert_eq!(a.add_affine(&affine), a.add(&b));
    }

    #[test]
    fn s5_multiples_agree_with_the_definition(bytes in wide(), k in 1u64..) {
        let s = Scalar::reduce(&bytes);
        let expected = times(&place(&Affine::GENERATOR), &number(&s.limbs()));
        let fast = multiply::generator_times(&s);
        prop_assert_eq!(fast, multiply::generator_times_secret(&s));
        prop_assert_eq!(fast, multiply::times(&Affine::GENERATOR, &s));
        match expected == two_torsion() {
            true => prop_assert!(fast.is_neutral()),
            false => agrees(&fast, &expected),
        }
        let a = crate::signature::curve::to_affine(&[point(k)])[0];
        let product = scalar(&(number(&s.limbs()) * k));
        prop_assert_eq!(multiply::times(&a, &s), multiply::generator_times(&product));
    }
}
