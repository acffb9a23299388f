//! Division of one element by another, rounded as the name says [N6]. Dividends that need two
//! elements are `product::mul_div_down`'s.

use plonky2::iop::target::Target;

use super::range::{assert_lt, check_62, check_bits};
use crate::Builder;
use crate::hint::{as_signed, from_signed};

/// ⌊n/d⌋, and the rest.
///
/// Statement: q·d + rest = n, q < 2^quotient_bits, 0 ≤ rest < d.
/// Assumes 0 ≤ n < 2^63 and 0 ≤ d < 2^(63 − quotient_bits), so that nothing wraps.
/// Guarantees [q, rest]; refuses d = 0 and a larger quotient.
/// Cost: 4 lanes (3 for 32 or 62 bits), 5 operations.
#[track_caller]
pub fn div_down(b: &mut Builder, n: Target, d: Target, quotient_bits: u32) -> [Target; 2] {
    let [quotient, rest] = hinted(b, "div_down", [n, d], |n, d| n.div_euclid(d));
    check(b, quotient, rest, d, quotient_bits);
    let whole = b.mul_add(quotient, d, rest);
    b.connect(whole, n);
    [quotient, rest]
}

/// ⌈n/d⌉, and what it exceeds n by.
///
/// Statement: q·d = n + rest, with the same ranges, assumptions and cost as `div_down`.
#[track_caller]
pub fn div_up(b: &mut Builder, n: Target, d: Target, quotient_bits: u32) -> [Target; 2] {
    let [quotient, rest] = hinted(b, "div_up", [n, d], |n, d| -(-n).div_euclid(d));
    check(b, quotient, rest, d, quotient_bits);
    let whole = b.mul_sub(quotient, d, rest);
    b.connect(whole, n);
    [quotient, rest]
}

fn hinted(
    b: &mut Builder,
    name: &'static str,
    inputs: [Target; 2],
    divide: fn(i128, i128) -> i128,
) -> [Target; 2] {
    let hints = b.hint(name, &inputs, 2, move |v| {
        let (n, d) = (as_signed(v[0]), as_signed(v[1]));
        let quotient = if d == 0 { 0 } else { divide(n, d) };
        [quotient, (n - quotient * d).abs()]
            .map(from_signed)
            .to_vec()
    });
    [hints[0], hints[1]]
}

#[track_caller]
fn check(b: &mut Builder, quotient: Target, rest: Target, d: Target, bits: u32) {
    check_bits(b, quotient, bits);
    check_62(b, rest);
    assert_lt(b, rest, d);
}

#[cfg(test)]
mod tests {
    use plonky2::iop::witness::{PartialWitness, WitnessWrite};
    use proptest::prelude::*;
    use tally_protocol::hash::F;

    use super::*;
    use crate::checker::{Attack, Checker, assert_each_assertion_needed};

    type Divide = fn(&mut Builder, Target, Target, u32) -> [Target; 2];

    struct Targets {
        n: Target,
        d: Target,
        result: [Target; 2],
    }

    fn build(divide: Divide) -> impl Fn(&mut Builder) -> Targets {
        move |b| {
            let [n, d] = b.add_virtual_target_arr();
            Targets {
                n,
                d,
                result: divide(b, n, d, 42),
            }
        }
    }

    fn given(t: &Targets, n: i128, d: i128) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        witness.set_target(t.n, from_signed(n)).unwrap();
        witness.set_target(t.d, from_signed(d)).unwrap();
        witness
    }

    thread_local! {
        static DOWN: (Targets, Checker) = checked(div_down);
        static UP: (Targets, Checker) = checked(div_up);
    }

    fn checked(divide: Divide) -> (Targets, Checker) {
        let mut b = Builder::new();
        let targets = build(divide)(&mut b);
        (targets, Checker::new(b))
    }

    fn divides((t, checker): &(Targets, Checker), n: i128, d: i128) -> Option<i128> {
        let witness = given(t, n, d);
        let accepted = checker.check(&witness).ok()?;
        Some(as_signed(accepted.get(t.result[0])))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn n6_quotients_agree(
            n in prop_oneof![0..4i128, (1i128 << 62) - 4..1 << 62, 0..1i128 << 62],
            d in prop_oneof![0..4i128, 999_999i128..1_000_002, 0..1i128 << 20, Just((1 << 21) - 1)],
        ) {
            let fits = |q: &i128| *q < 1 << 42;
            let down = n.checked_div(d).filter(fits);
            let up = (n + d - 1).checked_div(d).filter(fits);
            prop_assert_eq!(DOWN.with(|c| divides(c, n, d)), down);
            prop_assert_eq!(UP.with(|c| divides(c, n, d)), up);
        }
    }

    impl Targets {
        fn claim(&self, n: i128, d: i128, quotient: i128, rest: i128) -> Attack {
            let told = [quotient, rest].map(from_signed);
            let lies = [(self.result[0], told[0]), (self.result[1], told[1])];
            Attack::new("quotient", given(self, n, d), &lies)
        }
    }

    /// A rest out of range on either side, a sum that isn't n, a quotient that is too large.
    #[test]
    fn n6_lies_about_quotients_are_refused() {
        assert_each_assertion_needed(build(div_down), |t| {
            vec![
                t.claim(100, 7, 13, 9),
                t.claim(100, 7, 15, -5),
                t.claim(100, 7, 13, 2),
                t.claim(1 << 61, 1, 1 << 61, 0),
                t.claim(-5, 1, -5, 0),
            ]
        });
        assert_each_assertion_needed(build(div_up), |t| {
            vec![
                t.claim(100, 7, 16, 12),
                t.claim(100, 7, 14, -2),
                t.claim(100, 7, 16, 5),
                t.claim(1 << 61, 1, 1 << 61, 0),
                t.claim(-5, 1, -5, 0),
            ]
        });
    }

    #[test]
    fn rows_are_pinned() {
        let mut b = Builder::new();
        for _ in 0..100 {
            build(div_up)(&mut b);
        }
        assert_eq!(b.rows(), 120);
    }
}
