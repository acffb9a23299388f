//! Bits, selection and lists of a variable length.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::{BoolTarget, Target};

use crate::{Builder, F};

/// Whether x = 0. With a hint i: bit = 1 − x·i and x·bit = 0, so the bit is 0 unless x is 0 and
/// 1 if it is, for any i. Cost: 2 operations.
#[track_caller]
pub fn is_zero(b: &mut Builder, x: Target) -> BoolTarget {
    let inverse = b.hint_one("is_zero", &[x], |v| v[0].try_inverse().unwrap_or_default());
    let one = b.one();
    let bit = b.arithmetic(F::NEG_ONE, F::ONE, x, inverse, one);
    let product = b.mul(x, bit);
    b.assert_zero(product);
    BoolTarget::new_unsafe(bit)
}

/// Whether x = y. Cost: 3 operations.
#[track_caller]
pub fn is_equal(b: &mut Builder, x: Target, y: Target) -> BoolTarget {
    let difference = b.sub(x, y);
    is_zero(b, difference)
}

/// x if the bit is set, else y. Cost: 2 operations.
pub fn select(b: &mut Builder, bit: BoolTarget, x: Target, y: Target) -> Target {
    let difference = b.sub(x, y);
    b.mul_add(bit.target, difference, y)
}

/// `select` on lists of equal length.
pub fn select_all(b: &mut Builder, bit: BoolTarget, x: &[Target], y: &[Target]) -> Vec<Target> {
    assert_eq!(x.len(), y.len());
    x.iter()
        .zip(y)
        .map(|(&x, &y)| select(b, bit, x, y))
        .collect()
}

/// Σ xᵢ·yᵢ. Cost: 1 operation a term.
pub fn dot(b: &mut Builder, terms: impl IntoIterator<Item = (Target, Target)>) -> Target {
    let zero = b.zero();
    terms
        .into_iter()
        .fold(zero, |sum, (x, y)| b.mul_add(x, y, sum))
}

/// If the bit is set, x = y. Cost: 2 operations.
#[track_caller]
pub fn assert_equal_if(b: &mut Builder, bit: BoolTarget, x: Target, y: Target) {
    b.conditional_assert_eq(bit.target, x, y);
}

/// If the first bit is set, so is the second. Cost: 1 operation.
#[track_caller]
pub fn assert_implies(b: &mut Builder, if_set: BoolTarget, then_set: BoolTarget) {
    let both = b.mul_sub(if_set.target, then_set.target, if_set.target);
    b.assert_zero(both);
}

/// Bits of which exactly the one at `index` is set. Guarantees index < n.
/// Cost: 3 operations a bit.
#[track_caller]
pub fn one_hot(b: &mut Builder, index: Target, n: usize) -> Vec<BoolTarget> {
    let bits = b.hint("one_hot", &[index], n, move |v| {
        let index = v[0].to_canonical_u64();
        (0..n as u64).map(|i| F::from_bool(i == index)).collect()
    });
    let bits: Vec<_> = bits.into_iter().map(BoolTarget::new_unsafe).collect();
    for &bit in &bits {
        b.assert_bool(bit);
    }
    let one = b.one();
    let sum = b.add_many(bits.iter().map(|bit| bit.target));
    b.connect(sum, one);
    let numbers: Vec<Target> = (0..n)
        .map(|i| b.constant(F::from_canonical_usize(i)))
        .collect();
    let named = dot(b, bits.iter().map(|bit| bit.target).zip(numbers));
    b.connect(named, index);
    bits
}

/// The item that a one-hot list of bits names. Cost: 1 operation an item.
pub fn choose(b: &mut Builder, bits: &[BoolTarget], items: &[Target]) -> Target {
    assert_eq!(bits.len(), items.len());
    dot(
        b,
        bits.iter().map(|bit| bit.target).zip(items.iter().copied()),
    )
}

/// [P1] Bits of a list of which the first n are live. Guarantees n ≤ max. Cost: 3 operations a bit.
#[track_caller]
pub fn live_bits(b: &mut Builder, n: Target, max: usize) -> Vec<BoolTarget> {
    let bits = b.hint("live bits", &[n], max, move |v| {
        let n = v[0].to_canonical_u64();
        (0..max as u64).map(|i| F::from_bool(i < n)).collect()
    });
    let bits: Vec<_> = bits.into_iter().map(BoolTarget::new_unsafe).collect();
    for &bit in &bits {
        b.assert_bool(bit);
    }
    for pair in bits.windows(2) {
        assert_implies(b, pair[1], pair[0]);
    }
    let sum = b.add_many(bits.iter().map(|bit| bit.target));
    b.connect(sum, n);
    bits
}

/// The bits of x, lowest first. Guarantees x < 2^n. Cost: 2 operations a bit.
#[track_caller]
pub fn to_bits(b: &mut Builder, x: Target, n: usize) -> Vec<BoolTarget> {
    assert!(n < 64, "{n} bits");
    let bits = b.hint("bits", &[x], n, move |v| {
        let x = v[0].to_canonical_u64();
        (0..n).map(|i| F::from_bool(x >> i & 1 == 1)).collect()
    });
    let bits: Vec<_> = bits.into_iter().map(BoolTarget::new_unsafe).collect();
    for &bit in &bits {
        b.assert_bool(bit);
    }
    let (zero, one) = (b.zero(), b.one());
    let sum = bits.iter().rev().fold(zero, |sum, bit| {
        b.arithmetic(F::TWO, F::ONE, sum, one, bit.target)
    });
    b.connect(sum, x);
    bits
}

#[cfg(test)]
mod tests {
    use plonky2::iop::witness::{PartialWitness, WitnessWrite};

    use super::*;
    use crate::checker::{Attack, Checker, assert_each_assertion_needed};

    type Built = (Target, Vec<BoolTarget>);

    fn built(
        gadget: fn(&mut Builder, Target) -> Vec<BoolTarget>,
    ) -> impl Fn(&mut Builder) -> Built {
        move |b| {
            let x = b.add_virtual_target();
            (x, gadget(b, x))
        }
    }

    fn given(x: Target, value: u64) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        witness.set_target(x, F::from_canonical_u64(value)).unwrap();
        witness
    }

    fn outputs(
        gadget: fn(&mut Builder, Target) -> Vec<BoolTarget>,
        value: u64,
    ) -> Option<Vec<u64>> {
        let mut b = Builder::new();
        let (x, bits) = built(gadget)(&mut b);
        let checker = Checker::new(b);
        let accepted = checker.check(&given(x, value)).ok()?;
        Some(
            bits.iter()
                .map(|bit| accepted.get(bit.target).to_canonical_u64())
                .collect(),
        )
    }

    fn lie((x, bits): &Built, value: u64, told: &[i64]) -> Attack {
        let lies: Vec<_> = bits
            .iter()
            .zip(told)
            .map(|(bit, &told)| (bit.target, F::from_noncanonical_i64(told)))
            .collect();
        Attack::new("bits", given(*x, value), &lies)
    }

    #[test]
    fn agree_with_plain_logic() {
        assert_eq!(outputs(|b, x| vec![is_zero(b, x)], 0), Some(vec![1]));
        assert_eq!(outputs(|b, x| vec![is_zero(b, x)], 5), Some(vec![0]));
        assert_eq!(outputs(|b, x| one_hot(b, x, 4), 2), Some(vec![0, 0, 1, 0]));
        assert_eq!(outputs(|b, x| one_hot(b, x, 4), 4), None);
        assert_eq!(outputs(|b, x| live_bits(b, x, 4), 0), Some(vec![0; 4]));
        assert_eq!(
            outputs(|b, x| live_bits(b, x, 4), 3),
            Some(vec![1, 1, 1, 0])
        );
        assert_eq!(outputs(|b, x| live_bits(b, x, 4), 5), None);
        assert_eq!(outputs(|b, x| to_bits(b, x, 4), 11), Some(vec![1, 1, 0, 1]));
        assert_eq!(outputs(|b, x| to_bits(b, x, 4), 16), None);
    }

    #[test]
    fn lies_about_is_zero_are_refused() {
        let build = |b: &mut Builder| {
            let x = b.add_virtual_target();
            let bit = is_zero(b, x);
            (x, bit, b.hints("is_zero")[0][0])
        };
        assert_each_assertion_needed(build, |&(x, bit, inverse)| {
            let lie = |value, told, inverse_told| {
                let lies = [(bit.target, told), (inverse, inverse_told)];
                Attack::new("is_zero", given(x, value), &lies)
            };
            // Where x = 0 no inverse makes the bit 0; where it isn't, the inverse 0 makes it 1.
            vec![lie(0, F::ZERO, F::ONE), lie(5, F::ONE, F::ZERO)]
        });
    }

    #[test]
    fn lies_about_one_hot_are_refused() {
        assert_each_assertion_needed(built(|b, x| one_hot(b, x, 4)), |t| {
            vec![
                lie(t, 2, &[0, 1, 0, 0]),
                lie(t, 0, &[0, 0, 0, 0]),
                // One place that is no bit, while both sums hold.
                lie(t, 3, &[-1, 1, 1, 0]),
                lie(t, 1, &[1, -1, 1, 0]),
                lie(t, 2, &[0, 1, -1, 1]),
                lie(t, 0, &[0, 1, 1, -1]),
            ]
        });
    }

    #[test]
    fn lies_about_live_bits_are_refused() {
        assert_each_assertion_needed(built(|b, x| live_bits(b, x, 3)), |t| {
            vec![
                lie(t, 1, &[0, 1, 0]),
                lie(t, 2, &[1, 0, 1]),
                lie(t, 3, &[1, 1, 0]),
                lie(t, 2, &[2, 0, 0]),
                lie(t, 3, &[1, 2, 0]),
                lie(t, 4, &[1, 1, 2]),
            ]
        });
    }

    #[test]
    fn lies_about_bits_are_refused() {
        assert_each_assertion_needed(built(|b, x| to_bits(b, x, 3)), |t| {
            vec![
                lie(t, 4, &[0, 0, 0]),
                lie(t, 2, &[2, 0, 0]),
                lie(t, 4, &[0, 2, 0]),
                lie(t, 8, &[0, 0, 2]),
            ]
        });
    }
}
