use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use proptest::prelude::*;

use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::hint::from_signed;

const EDGE: i128 = tally_protocol::bounds::FIELD_ORDER as i128;

fn given(values: &[(Target, i128)]) -> PartialWitness<F> {
    let mut witness = PartialWitness::new();
    for &(target, value) in values {
        witness.set_target(target, from_signed(value)).unwrap();
    }
    witness
}

/// A circuit over some inputs, to be asked many times.
struct Fixture<T> {
    checker: Checker,
    inputs: Vec<Target>,
    output: T,
}

impl<T> Fixture<T> {
    fn new(inputs: usize, build: impl Fn(&mut Builder, &[Target]) -> T) -> Self {
        let mut b = Builder::new();
        let inputs = b.add_virtual_targets(inputs);
        let output = build(&mut b, &inputs);
        Self {
            checker: Checker::new(b),
            inputs,
            output,
        }
    }

    fn inputs(&self, values: &[i128]) -> PartialWitness<F> {
        let pairs: Vec<_> = self
            .inputs
            .iter()
            .copied()
            .zip(values.iter().copied())
            .collect();
        given(&pairs)
    }

    fn accepts(&self, values: &[i128]) -> bool {
        self.checker.check(&self.inputs(values)).is_ok()
    }
}

#[test]
fn widths_hold_at_their_edges() {
    for bits in [1, 2, 7, 20, 31, 32, 33, 42, 55, 56, 60, 61, 62, 63] {
        let f = Fixture::new(1, |b, x| check_bits(b, x[0], bits));
        let top = 1i128 << bits;
        for inside in [0, 1, top / 2, top - 1] {
            assert!(f.accepts(&[inside]), "{inside} has {bits} bits");
        }
        for value in [-1, top, top + 1, EDGE / 2, -EDGE / 2 + 1, -(1 << 32)] {
            let inside = value.rem_euclid(EDGE) < top;
            assert_eq!(f.accepts(&[value]), inside, "{value} in {bits} bits");
        }
    }
}

#[test]
fn signed_widths_hold_at_their_edges() {
    for bits in [1, 30, 56, 61] {
        let f = Fixture::new(1, |b, x| check_signed(b, x[0], bits));
        let top = 1i128 << bits;
        for (value, inside) in [
            (0, true),
            (top - 1, true),
            (1 - top, true),
            (top, false),
            (-top, false),
        ] {
            assert_eq!(f.accepts(&[value]), inside, "{value} in {bits} signed bits");
        }
    }
}

#[test]
fn split_gives_the_halves() {
    let f = Fixture::new(1, |b, x| split(b, x[0]));
    for x in [0, 1, (1 << 32) - 1, 1 << 32, (1i128 << 62) - 1] {
        let witness = f.inputs(&[x]);
        let accepted = f.checker.check(&witness).unwrap();
        let halves = f.output.map(|t| as_signed(accepted.get(t)));
        assert_eq!(halves, [x & 0xffff_ffff, x >> 32]);
    }
}

fn near(bits: u32) -> impl Strategy<Value = i128> {
    let top = 1i128 << bits;
    prop_oneof![
        -3..=3i128,
        (top - 3)..top,
        (1 - top)..(4 - top),
        (1 - top)..top
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn comparisons_agree(x in near(61), y in near(61)) {
        thread_local! {
            static LE: Fixture<()> = Fixture::new(2, |b, v| assert_le(b, v[0], v[1]));
            static LT: Fixture<()> = Fixture::new(2, |b, v| assert_lt(b, v[0], v[1]));
            static IS: Fixture<BoolTarget> = Fixture::new(2, |b, v| is_le(b, v[0], v[1]));
        }
        prop_assert_eq!(LE.with(|f| f.accepts(&[x, y])), x <= y);
        prop_assert_eq!(LT.with(|f| f.accepts(&[x, y])), x < y);
        let told = IS.with(|f| {
            let accepted = f.checker.check(&f.inputs(&[x, y])).unwrap();
            accepted.get(f.output.target)
        });
        prop_assert_eq!(told, F::from_bool(x <= y));
    }
}

#[test]
fn a_masked_comparison_is_free_when_off() {
    let f = Fixture::new(3, |b, v| {
        assert_le_if(b, BoolTarget::new_unsafe(v[0]), v[1], v[2]);
    });
    assert!(f.accepts(&[0, 5, 4]));
    assert!(!f.accepts(&[1, 5, 4]));
    assert!(f.accepts(&[1, 4, 4]));
}

#[test]
fn lies_about_is_nonnegative_are_refused() {
    let build = |b: &mut Builder| {
        let x = b.add_virtual_target();
        (x, is_nonnegative(b, x))
    };
    assert_each_assertion_needed(build, |&(x, bit)| {
        let lie = |value, told: i128| {
            Attack::new(
                "sign",
                given(&[(x, value)]),
                &[(bit.target, from_signed(told))],
            )
        };
        // A "bit" that is not one: (2b − 1)·x + b − 1 is in range for x = −1, b = 1/2 + 0, say.
        vec![
            lie(0, 0),
            lie(7, 0),
            lie(-1, 1),
            lie(-7, 1),
            lie(7, 2),
            lie(-7, 0 - 5),
        ]
    });
}

#[test]
fn lies_about_the_63rd_bit_are_refused() {
    let build = |b: &mut Builder| {
        let x = b.add_virtual_target();
        check_bits(b, x, 63);
        (x, b.hints("bit 62")[0][0])
    };
    assert_each_assertion_needed(build, |&(x, bit)| {
        let lie = |told: i128| {
            Attack::new(
                "bit 62",
                given(&[(x, 1 << 63)]),
                &[(bit, from_signed(told))],
            )
        };
        // 2^63 as twice 2^62, and as 2^62 above 2^62.
        vec![lie(2), lie(1), lie(0)]
    });
}

#[test]
fn each_assertion_of_a_check_is_needed() {
    for bits in [32, 62, 42] {
        let build = move |b: &mut Builder| {
            let x = b.add_virtual_target();
            check_bits(b, x, bits);
            x
        };
        assert_each_assertion_needed(build, |&x| {
            let above = Attack::new("above", given(&[(x, 1 << bits)]), &[]);
            let below = Attack::new("below", given(&[(x, -1)]), &[]);
            vec![above, below]
        });
    }
}

#[test]
fn four_checks_share_a_row() {
    let mut b = Builder::new();
    let xs = b.add_virtual_targets(8);
    for &x in &xs {
        check_62(&mut b, x);
    }
    assert_eq!(b.rows(), 2);
}
