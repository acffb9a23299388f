//! Bits, selection and lists of a variable length.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::{BoolTarget, Target};

use crate::gates::many::{Bits, IsZero, Select};
use crate::{Builder, F};

/// Whether x = 0. For some i, bit = 1 − x·i and x·bit = 0, so the bit is 0 unless x is 0 and 1 if
/// it is. Cost: 1/40 row.
pub fn is_zero(b: &mut Builder, x: Target) -> BoolTarget {
    let lane = b.operation::<IsZero>(&[x]);
    b.record_hint("is_zero", &[lane.wire(2)]);
    BoolTarget::new_unsafe(lane.wire(1))
}

/// Whether x = y. Cost: 1 operation and 1/40 row.
pub fn is_equal(b: &mut Builder, x: Target, y: Target) -> BoolTarget {
    let difference = b.sub(x, y);
    is_zero(b, difference)
}

/// x if the bit is set, else y. Cost: 1/20 row.
pub fn select(b: &mut Builder, bit: BoolTarget, x: Target, y: Target) -> Target {
    b.operation::<Select>(&[bit.target, x, y]).wire(3)
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

/// If the bit is set, x = y. Cost: 1/26 row.
#[track_caller]
pub fn assert_equal_if(b: &mut Builder, bit: BoolTarget, x: Target, y: Target) {
    b.conditional_assert_eq(bit.target, x, y);
}

/// If the bit is set, two digests are equal: one assertion. Cost: 1/26 row an element.
#[track_caller]
pub fn assert_digests_equal_if(b: &mut Builder, bit: BoolTarget, x: &[Target], y: &[Target]) {
    b.conditional_assert_all_eq(bit.target, x, y);
}

/// If the first bit is set, so is the second. Cost: 1/26 row.
#[track_caller]
pub fn assert_implies(b: &mut Builder, if_set: BoolTarget, then_set: BoolTarget) {
    let one = b.one();
    b.conditional_assert_eq(if_set.target, then_set.target, one);
}

/// Bits of which exactly the one at `index` is set. Guarantees index < n.
/// Cost: 2 operations and 1/80 row a bit.
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

/// [P1] Bits of a list of which the first n are live. Guarantees n ≤ max.
/// Cost: 1/10 row a bit.
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

/// The bits of x, lowest first. Guarantees x < 2^n. Cost: half a row for 9 to 39 bits, else
/// 1 operation and 1/80 row a bit.
#[track_caller]
pub fn to_bits(b: &mut Builder, x: Target, n: usize) -> Vec<BoolTarget> {
    if (9..=Bits::WIDTH).contains(&n) {
        return to_wide_bits(b, x, n);
    }
    let bits = to_bits_unchecked(b, x, n);
    for &bit in &bits {
        b.assert_bool(bit);
    }
    bits
}

/// As `to_bits`, for a use that holds each bit to 0 or 1 itself. Cost: half a row for 9 to 39 bits,
/// else 1 operation a bit.
#[track_caller]
pub fn to_bits_unchecked(b: &mut Builder, x: Target, n: usize) -> Vec<BoolTarget> {
    assert!(n < 64, "{n} bits");
    if (9..=Bits::WIDTH).contains(&n) {
        return to_wide_bits(b, x, n);
    }
    let bits = b.hint("bits", &[x], n, move |v| {
        let x = v[0].to_canonical_u64();
        (0..n).map(|i| F::from_bool(x >> i & 1 == 1)).collect()
    });
    let (zero, one) = (b.zero(), b.one());
    let sum = bits.iter().rev().fold(zero, |sum, &bit| {
        b.arithmetic(F::TWO, F::ONE, sum, one, bit)
    });
    b.connect(sum, x);
    bits.into_iter().map(BoolTarget::new_unsafe).collect()
}

#[track_caller]
fn to_wide_bits(b: &mut Builder, x: Target, n: usize) -> Vec<BoolTarget> {
    let lane = b.operation::<Bits>(&[]);
    b.connect(x, lane.wire(0));
    let zero = b.zero();
    let above: Vec<Target> = (n..Bits::WIDTH).map(|i| lane.wire(1 + i)).collect();
    b.connect_all(&above, &vec![zero; above.len()]);
    let bits: Vec<Target> = (0..n).map(|i| lane.wire(1 + i)).collect();
    b.record_hint("bits", &bits);
    bits.into_iter().map(BoolTarget::new_unsafe).collect()
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

    /// The gate's own constraints are tested with the gate; here that the bit is the gate's.
    #[test]
    fn lies_about_is_zero_are_refused() {
        let mut b = Builder::new();
        let x = b.add_virtual_target();
        let bit = is_zero(&mut b, x);
        let inverse = b.hints("is_zero")[0][0];
        let checker = Checker::new(b);
        for (value, told, inverse_told) in [
            (0, F::ZERO, F::ONE),
            (5, F::ONE, F::ZERO),
            (5, F::TWO, F::TWO),
        ] {
            let lies = [(bit.target, told), (inverse, inverse_told)];
            assert!(checker.check_with_lies(&given(x, value), &lies).is_err());
        }
    }

    #[test]
    fn select_agrees_and_shares_rows() {
        let mut b = Builder::new();
        let [bit, x, y] = b.add_virtual_target_arr();
        let outs: Vec<Target> = (0..40)
            .map(|_| select(&mut b, BoolTarget::new_unsafe(bit), x, y))
            .collect();
        assert_eq!(b.rows(), 2);
        let checker = Checker::new(b);
        for (told, expected) in [(0, 7), (1, 4)] {
            let mut witness = given(bit, told);
            witness.set_target(x, F::from_canonical_u64(4)).unwrap();
            witness.set_target(y, F::from_canonical_u64(7)).unwrap();
            let accepted = checker.check(&witness).unwrap();
            assert_eq!(accepted.get(outs[39]), F::from_canonical_u64(expected));
            let lies = [(outs[39], F::from_canonical_u64(11 - expected))];
            assert!(checker.check_with_lies(&witness, &lies).is_err());
        }
    }

    /// A wide number: its link, and the bits beyond the width.
    #[test]
    fn lies_about_wide_bits_are_refused() {
        let build = built(|b, x| to_bits(b, x, 28));
        assert_each_assertion_needed(&build, |t| {
            let mut attacks = vec![lie(t, 4, &[0, 0, 0, 1])];
            attacks.extend((28..Bits::WIDTH).map(|i| lie(t, 1 << i, &[])));
            attacks
        });
        let mut b = Builder::new();
        let (x, bits) = build(&mut b);
        let checker = Checker::new(b);
        let accepted = checker.check(&given(x, 0x0abc_def1)).unwrap();
        let told = bits.iter().rev().fold(0, |sum, bit| {
            2 * sum + accepted.get(bit.target).to_canonical_u64()
        });
        assert_eq!(told, 0x0abc_def1);
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
