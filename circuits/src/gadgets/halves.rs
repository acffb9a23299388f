//! The 32-bit halves of an element's canonical residue [P6]: how cash, carries and digests become
//! L1 data without an alias.
//!
//! p = 2^64 − 2^32 + 1, so low + 2^32·high < p unless high = 2^32 − 1 and low > 0.

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use tally_protocol::hash::unsigned;

use super::range::check_32;
use crate::{Builder, F};

const TOP: u64 = u32::MAX as u64;

/// Statement: x = low + 2^32·high as integers, x the residue below p, both halves below 2^32.
/// Guarantees the only such pair, [low, high]. Cost: 2 lanes and 4 operations, 0.7 rows.
#[track_caller]
pub fn halves(b: &mut Builder, x: Target) -> [Target; 2] {
    let hint = b.hint("halves", &[x], 2, |v| {
        tally_protocol::hash::halves(v[0])
            .map(|half| unsigned(half.into()))
            .to_vec()
    });
    let [low, high] = [hint[0], hint[1]];
    check_32(b, low);
    check_32(b, high);
    let one = b.one();
    let sum = b.arithmetic(unsigned(1 << 32), F::ONE, high, one, low);
    b.connect(sum, x);
    let top = b.constant(unsigned(TOP));
    let missing = b.sub(top, high);
    // low·(1 − missing·i) = 0 for some i: at the top nothing is missing, so low is 0.
    let inverse = b.hint_one("halves top", &[missing], |v| {
        v[0].try_inverse().unwrap_or_default()
    });
    let at_top = b.arithmetic(F::NEG_ONE, F::ONE, missing, inverse, one);
    let alias = b.mul(at_top, low);
    b.assert_zero(alias);
    [low, high]
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::PrimeField64;
    use plonky2::iop::witness::{PartialWitness, WitnessWrite};
    use proptest::prelude::*;
    use tally_protocol::bounds::FIELD_ORDER;

    use super::*;
    use crate::checker::{Attack, Checker, assert_each_assertion_needed};

    struct Targets {
        x: Target,
        halves: [Target; 2],
        inverse: Target,
    }

    fn build(b: &mut Builder) -> Targets {
        let x = b.add_virtual_target();
        let halves = halves(b, x);
        Targets {
            x,
            halves,
            inverse: b.hints("halves top")[0][0],
        }
    }

    fn given(t: &Targets, x: u64) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        witness.set_target(t.x, F::from_canonical_u64(x)).unwrap();
        witness
    }

    thread_local! {
        static CIRCUIT: (Targets, Checker) = {
            let mut b = Builder::new();
            let targets = build(&mut b);
            (targets, Checker::new(b))
        };
    }

    fn edges() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..4u64,
            (FIELD_ORDER - 4)..FIELD_ORDER,
            (1u64 << 32) - 3..(1 << 32) + 3,
            0..FIELD_ORDER
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn p6_halves_agree(x in edges()) {
            CIRCUIT.with(|(t, checker)| {
                let accepted = checker.check(&given(t, x)).unwrap();
                let expected = [x & 0xffff_ffff, x >> 32].map(F::from_canonical_u64);
                prop_assert_eq!(accepted.get_all(&t.halves), expected);
                Ok(())
            })?;
        }
    }

    #[test]
    fn p6_an_alias_is_refused() {
        assert_each_assertion_needed(build, |t| {
            let lie = |x: u64, [low, high]: [u64; 2], inverse: F| {
                let lies = [
                    (t.halves[0], F::from_canonical_u64(low)),
                    (t.halves[1], F::from_canonical_u64(high)),
                    (t.inverse, inverse),
                ];
                Attack::new("halves", given(t, x), &lies)
            };
            let of = |missing: u64| {
                F::from_canonical_u64(missing)
                    .try_inverse()
                    .unwrap_or_default()
            };
            // 5 = 5 + p, whose halves are (6, 2^32 − 1), with the honest and a false inverse.
            let mut attacks = vec![lie(5, [6, TOP], F::ZERO), lie(5, [6, TOP], F::ONE)];
            // Halves that don't add up, and ones that are too large.
            attacks.push(lie(5, [6, 0], of(TOP)));
            attacks.push(lie(1 << 32, [1 << 32, 0], of(TOP)));
            let high = (1u64 << 32) + 7;
            let sum = F::from_canonical_u64(1 << 32) * F::from_canonical_u64(high);
            let missing = F::from_canonical_u64(TOP) - F::from_canonical_u64(high);
            attacks.push(lie(sum.to_canonical_u64(), [0, high], missing.inverse()));
            attacks
        });
    }

    #[test]
    fn rows_are_pinned() {
        let mut b = Builder::new();
        for _ in 0..100 {
            build(&mut b);
        }
        assert_eq!(b.rows(), 70);
    }
}
