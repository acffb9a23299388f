use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use proptest::prelude::*;

use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};

const EDGE: i128 = tally_protocol::bounds::FIELD_ORDER as i128;

fn given(values: &[(Target, i128)]) -> PartialWitness<F> {
    let mut witness = PartialWitness::new();
    for &(target, value) in values {
        witness.set_target(target, from_signed(value)).unwrap();
    }
    witness
}

fn le(b: &mut Builder) -> [Target; 4] {
    let t = b.add_virtual_target_arr();
    let [e, r, e1, r1] = t;
    let right = Product {
        total: e1,
        factor: r1,
    };
    assert_products_le(
        b,
        Product {
            total: e,
            factor: r,
        },
        right,
    );
    t
}

fn div(b: &mut Builder) -> [Target; 4] {
    let [e, r, d] = b.add_virtual_target_arr();
    let quotient = mul_div_down(
        b,
        Product {
            total: e,
            factor: r,
        },
        d,
    );
    [e, r, d, quotient]
}

thread_local! {
    static LE: ([Target; 4], Checker) = checked(le);
    static DIV: ([Target; 4], Checker) = checked(div);
}

fn checked<T>(build: impl Fn(&mut Builder) -> T) -> (T, Checker) {
    let mut b = Builder::new();
    let targets = build(&mut b);
    (targets, Checker::new(b))
}

fn accepts(values: [i128; 4]) -> bool {
    LE.with(|(t, checker)| {
        let pairs: Vec<_> = t.iter().copied().zip(values).collect();
        checker.check(&given(&pairs)).is_ok()
    })
}

fn quotient(e: i128, r: i128, d: i128) -> Option<i128> {
    DIV.with(|(t, checker)| {
        let witness = given(&[(t[0], e), (t[1], r), (t[2], d)]);
        let accepted = checker.check(&witness).ok()?;
        Some(as_signed(accepted.get(t[3])))
    })
}

fn total() -> impl Strategy<Value = i128> {
    let top = 1i128 << 62;
    prop_oneof![
        -3..=3i128,
        (top - 3)..top,
        (1 - top)..(4 - top),
        (1 - top)..top
    ]
}

fn factor() -> impl Strategy<Value = i128> {
    let top = 1i128 << 60;
    prop_oneof![
        0..=3i128,
        (top - 3)..top,
        0..top,
        (1i128 << 30) - 2..(1 << 30) + 2
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// [L4] Any order, and neighbours that differ by a single unit of the product.
    #[test]
    fn l4_comparison_agrees(e in total(), r in factor(), e1 in total(), r1 in factor()) {
        prop_assert_eq!(accepts([e, r, e1, r1]), e * r <= e1 * r1);
        prop_assert!(accepts([e, r, e, r]));
        if r > 0 {
            prop_assert!(e == -(1 << 62) + 1 || !accepts([e, r, e - 1, r]));
        }
    }

    #[test]
    fn q4_division_agrees(
        e in total().prop_map(i128::abs),
        r in 0i128..1 << 42,
        d in factor(),
    ) {
        let expected = (e * r).checked_div(d).filter(|q| *q < 1 << 62);
        prop_assert_eq!(quotient(e, r, d), expected);
    }
}

#[test]
fn l4_close_products_are_told_apart() {
    // (2^31 + 1)² against 2^31·(2^31 + 2): one apart.
    let n = 1i128 << 31;
    assert!(accepts([n, n + 2, n + 1, n + 1]));
    assert!(!accepts([n + 1, n + 1, n, n + 2]));
    assert!(accepts([-n - 1, n + 1, -n, n + 2]));
    assert!(!accepts([-n, n + 2, -n - 1, n + 1]));
}

#[test]
fn l4_r0_is_zero() {
    // E₀·R₁ ≤ E₁·0 is E₀·R₁ ≤ 0.
    assert!(accepts([0, 7, 5, 0]));
    assert!(accepts([-1, 7, 5, 0]));
    assert!(!accepts([1, 7, 5, 0]));
}

#[test]
fn q4_lies_about_the_quotient_are_refused() {
    let (t, checker) = checked(|b| {
        let t = div(b);
        (t, b.hints("mul_div_down")[0].clone())
    });
    let (t, hints) = t;
    let order = i128::from(tally_protocol::bounds::FIELD_ORDER);
    let (e, r, d) = ((1i128 << 61) + 5, (1i128 << 41) + 3, (1i128 << 59) + 7);
    let witness = given(&[(t[0], e), (t[1], r), (t[2], d)]);
    let honest = e * r / d;
    let mut told = vec![
        (honest + 1, e * r - (honest + 1) * d),
        (honest - 1, e * r - (honest - 1) * d),
    ];
    // Right mod p only: any quotient with the rest that fits it.
    for q in [0, 1, honest / 2] {
        told.push((q, (e * r - q * d).rem_euclid(order)));
    }
    // Right mod p with a small rest: e·r − k·p = q·d + rest.
    for k in 1..50 {
        let value = e * r - k * order;
        told.push((value.div_euclid(d), value.rem_euclid(d)));
    }
    for (q, rest) in told {
        let lies = [(hints[0], from_signed(q)), (hints[1], from_signed(rest))];
        assert!(
            checker.check_with_lies(&witness, &lies).is_err(),
            "{q} rest {rest}"
        );
    }
}

/// Each carry and limb lied about, alone and with what follows from it.
#[test]
fn l4_lies_about_limbs_are_refused() {
    let (t, checker) = checked(|b| {
        let t = le(b);
        (t, [b.hints("carry"), b.hints("split sign")].concat())
    });
    let (t, hints) = t;
    let values = [(1i128 << 61) + 1, 1 << 59, 1 << 61, 1 << 59];
    let pairs: Vec<_> = t.iter().copied().zip(values).collect();
    let witness = given(&pairs);
    for hint in hints {
        for lie in [0i128, 1, -1, 1 << 30, -(1 << 31), 1 << 31, 1 << 33] {
            let lies = [(hint[0], from_signed(lie))];
            assert!(checker.check_with_lies(&witness, &lies).is_err());
        }
    }
}

#[test]
fn rows_are_pinned() {
    let rows = |build: fn(&mut Builder) -> [Target; 4], times: usize| {
        let mut b = Builder::new();
        (0..times).for_each(|_| {
            build(&mut b);
        });
        b.rows()
    };
    assert_eq!((rows(le, 100), rows(div, 100)), (503, 498));
}

const TOP: i128 = 1 << 62;
/// p + 3 = 4·FACTOR.
const FACTOR: i128 = (1 << 62) - (1 << 30) + 1;

/// What a prank may lie about, in the order of building.
struct Open {
    inputs: [Target; 4],
    /// Of `split_signed`, left and right.
    signs: Vec<Target>,
    lanes: Vec<Target>,
    carries: Vec<Target>,
    quotient: Vec<Target>,
}

fn open(build: fn(&mut Builder) -> [Target; 4]) -> impl Fn(&mut Builder) -> Open {
    move |b| {
        let inputs = build(b);
        let first = |name| b.hints(name).iter().map(|hint| hint[0]).collect();
        Open {
            inputs,
            signs: first("split sign"),
            lanes: first("lane"),
            carries: first("carry"),
            quotient: b.hints("mul_div_down").concat(),
        }
    }
}

impl Open {
    fn attack(&self, inputs: &[i128], lies: &[(Target, i128)]) -> Attack {
        let pairs: Vec<_> = self
            .inputs
            .iter()
            .copied()
            .zip(inputs.iter().copied())
            .collect();
        let lies: Vec<_> = lies
            .iter()
            .map(|&(t, value)| (t, from_signed(value)))
            .collect();
        Attack::new("product", given(&pairs), &lies)
    }

    /// The "sign" that makes the lane of e + 2^62 hold `lane`.
    fn sign(&self, side: usize, e: i128, lane: i128) -> (Target, i128) {
        let value = from_signed(e + TOP - lane) * from_signed(TOP).inverse();
        (self.signs[side], as_signed(value))
    }

    /// q = ⌊e·r/d⌋ claimed to be what `presented` gives for e·r.
    fn divide(&self, [e, r, d]: [i128; 3], presented: i128, lies: &[(Target, i128)]) -> Attack {
        let (q, rest) = (presented.div_euclid(d), presented.rem_euclid(d));
        self.claim([e, r, d], q, rest, lies)
    }

    fn claim(&self, inputs: [i128; 3], q: i128, rest: i128, lies: &[(Target, i128)]) -> Attack {
        let mut lies = lies.to_vec();
        lies.extend([(self.quotient[0], q), (self.quotient[1], rest)]);
        self.attack(&inputs, &lies)
    }
}

/// Each limb, carry and range is what stops a false order: without it some number can stand for
/// itself plus or minus p.
#[test]
fn l4_each_assertion_is_needed() {
    let p = EDGE;
    assert_each_assertion_needed(open(le), |t| {
        vec![
            t.attack(&[1, 1, 0, 1], &[]),
            // Left 1 as 1 − p, right 0 as p: by the sign, by the lanes of each limb and product.
            t.attack(&[1, 1, 0, 1], &[t.sign(0, 1, 0)]),
            t.attack(&[1, 1, 0, 1], &[t.sign(1, 0, 1)]),
            t.attack(&[0, 1, -1, 1], &[]),
            t.attack(&[1 << 32, 1, 0, 1], &[]),
            t.attack(&[0, 1, -(1 << 32), 1], &[]),
            t.attack(&[1, 1 << 30, 0, 1], &[]),
            t.attack(&[1, 1, 0, 1], &[(t.lanes[6], 1)]),
            t.attack(&[1, 1, 0, 1], &[(t.lanes[7], 1)]),
            // S = −1 and V = −1 with a carry that is too large, or with a negative rest.
            t.attack(&[1, 1, 0, 1], &[(t.carries[0], (1 << 32) - 1)]),
            t.attack(&[1, 1, 0, 1], &[(t.carries[0], 0), (t.lanes[9], 0)]),
            t.attack(&[1 << 32, 1, 0, 1], &[(t.carries[1], (1 << 34) - 4)]),
            t.attack(&[1 << 32, 1, 0, 1], &[(t.carries[1], 0), (t.lanes[11], 0)]),
            t.attack(&[p / 4, 1 << 59, 0, 1], &[]),
        ]
    });
}

#[test]
fn q4_each_assertion_is_needed() {
    let p = EDGE;
    let d = 1i128 << 59;
    assert_each_assertion_needed(open(div), |t| {
        vec![
            // A negative rest, one that is too large, and a quotient right mod 2^62 alone.
            t.claim([100, 1, 7], 15, -5, &[]),
            t.claim([100, 1, 7], 13, 9, &[]),
            t.claim([5, 1 << 31, 1 << 31], 5 + (1 << 31), 0, &[]),
            // The dividend as itself plus or minus a multiple of p.
            t.divide([0, 1, d], p, &[t.sign(0, 0, 1)]),
            t.divide([0, 1, d], p, &[(t.lanes[2], 1)]),
            t.divide([1 << 32, 1, d], (1 << 32) * (1 - p), &[]),
            t.divide([1, 1, d], 1 + p, &[(t.lanes[4], 2)]),
            t.divide([0, 1, d], p << 30, &[(t.lanes[5], 1)]),
            // The quotient, the divisor and their products likewise.
            t.claim(
                [1 << 60, 16, 1],
                (1 << 32) - 1,
                0,
                &[t.sign(1, (1 << 32) - 1, 0)],
            ),
            t.claim([1 << 60, 16, 1], (1 << 32) - 1, 0, &[(t.lanes[6], 0)]),
            t.claim([FACTOR, 4, 3], 1, 0, &[(t.lanes[7], 16)]),
            t.claim([FACTOR, 4, 5], 0, 3, &[(t.lanes[8], 1)]),
            t.claim([FACTOR, 1 << 32, 1 << 33], 0, 3 << 30, &[(t.lanes[9], 1)]),
            // Right mod p only, with one carry that isn't whole.
            t.claim([FACTOR, 4, 5], 0, 3, &[(t.lanes[10], 0)]),
            t.claim([FACTOR, 1 << 34, 1 << 40], 0, 3 << 32, &[(t.lanes[11], 0)]),
        ]
    });
}
