use halo2_base::utils::modulus as field_modulus;
use halo2_proofs::dev::MockProver;
use halo2_proofs::halo2curves::ff::Field as _;
use plonky2::field::types::{Field, Sample};
use proptest::prelude::*;

use super::*;
use crate::algebra::{Algebra, Native};
use crate::circuit::{Size, WrapCircuit};
use crate::gates::UnknownGate;
use crate::hash::DIGEST_WIDTHS;

const SIZE: Size = Size {
    k: 11,
    limb_bits: 8,
};

/// Whether MockProver accepts what `body` constrains.
fn holds(prank: Option<Prank>, body: impl FnOnce(&mut Chip<'_>)) -> bool {
    let circuit = WrapCircuit::fill(SIZE, prank, |chip| {
        body(chip);
        Ok::<_, UnknownGate>(vec![])
    });
    let circuit = circuit.unwrap();
    let prover = MockProver::run(SIZE.k as u32, &circuit, vec![vec![]]).unwrap();
    prover.verify().is_ok()
}

/// Accepted as it is, refused with the lie.
fn assert_refused(name: &'static str, lie: fn(&mut [BigUint]), body: impl Fn(&mut Chip<'_>)) {
    assert!(holds(None, &body), "{name}: the honest witness");
    let told = std::cell::Cell::new(false);
    let prank = Prank { name, nth: 0, lie };
    let accepted = holds(Some(prank), |chip| {
        body(chip);
        told.set(chip.prank.is_none());
    });
    assert!(told.get(), "{name}: no such hint");
    assert!(!accepted, "{name}: the lie was accepted");
}

fn raw(chip: &mut Chip<'_>, value: &BigUint, bits: usize) -> Int {
    let cell = chip.ctx.load_witness(biguint_to_fe(value));
    Int { cell, bits }
}

fn wide() -> BigUint {
    (BigUint::from(1u32) << 130) + 12_345u32
}

/// q with q · p = x in BN254's field: what a prover would like a quotient to be.
fn field_quotient(x: &BigUint) -> BigUint {
    let [x, p] = [x, &modulus()].map(biguint_to_fe::<Fr>);
    fe_to_biguint(&(x * p.invert().unwrap()))
}

#[test]
fn lies_about_a_reduction_are_refused() {
    let body = |chip: &mut Chip<'_>| {
        let x = raw(chip, &wide(), 131);
        chip.reduce(x);
    };
    assert_refused("reduce", |v| v[1] += 1u32, body);
    assert_refused("reduce", |v| v[0] += 1u32, body);
    // The same residue, too large by p so often that it has no 64 bits.
    let twice = |v: &mut [BigUint]| {
        v[0] -= 2u32;
        v[1] += modulus() * 2u32;
    };
    assert_refused("reduce", twice, body);
    let wrapped = |v: &mut [BigUint]| {
        v[0] = field_quotient(&wide());
        v[1] = BigUint::ZERO;
    };
    assert_refused("reduce", wrapped, body);
}

#[test]
fn what_is_no_multiple_of_p_is_not_zero() {
    let body = |chip: &mut Chip<'_>| {
        let x = raw(chip, &(modulus() * 7u32), 67);
        chip.assert_zero(x);
    };
    assert_refused("multiple", |v| v[0] += 1u32, body);
    assert!(!holds(None, |chip| {
        let x = raw(chip, &wide(), 131);
        chip.assert_zero(x);
    }));
    let prank = Prank {
        name: "multiple",
        nth: 0,
        lie: |v| v[0] = field_quotient(&wide()),
    };
    assert!(!holds(Some(prank), |chip| {
        let x = raw(chip, &wide(), 131);
        chip.assert_zero(x);
    }));
}

#[test]
fn lies_about_an_inverse_are_refused() {
    let body = |chip: &mut Chip<'_>| {
        let x = chip.ext_witness(tally_circuits::Ext::TWO);
        chip.ext_invert(&x);
    };
    assert_refused("invert", |v| v[0] += 1u32, body);
    assert_refused("invert", |v| v[1] += 1u32, body);
    assert_refused("invert", |v| v.fill(BigUint::ZERO), body);
    assert!(!holds(None, |chip| {
        let zero = chip.ext_witness(tally_circuits::Ext::ZERO);
        chip.ext_invert(&zero);
    }));
}

#[test]
fn lies_about_the_residue_are_refused() {
    let body = |chip: &mut Chip<'_>| {
        let x = raw(chip, &(modulus() + 3u32), WORD);
        chip.canonical(x);
    };
    let aliased = |v: &mut [BigUint]| {
        v[0] = BigUint::ZERO;
        v[1] = modulus() + 3u32;
    };
    assert_refused("canonical", aliased, body);
    assert_refused("canonical", |v| v[1] += 1u32, body);
    let halved = |v: &mut [BigUint]| {
        v[0] = field_quotient(&(modulus() + 1u32));
        v[1] = BigUint::from(2u32);
    };
    assert_refused("canonical", halved, body);
}

#[test]
fn lies_about_bits_are_refused() {
    let body = |chip: &mut Chip<'_>| {
        let x = raw(chip, &BigUint::from(0b1011u32), WORD);
        chip.low_bits(x, 3);
    };
    assert_refused("bits", |v| v[0] += 1u32, body);
    // The other value of a bit, made up for by the rest.
    let shifted = |v: &mut [BigUint]| {
        v[0] -= 1u32;
        let rest = biguint_to_fe::<Fr>(&(BigUint::from(1u32) + (&v[1] << 3)));
        v[1] = fe_to_biguint(&(rest * Fr::from(8u64).invert().unwrap()));
    };
    assert_refused("bits", shifted, body);
}

#[test]
fn an_element_is_split_in_one_way() {
    let body = |chip: &mut Chip<'_>| {
        let x = chip.ctx.load_witness(Fr::from(3u64));
        chip.split(x, &DIGEST_WIDTHS, 3);
    };
    // x + r is below 2^254 and the same element.
    let aliased = |v: &mut [BigUint]| {
        let mut rest = field_modulus::<Fr>() + 3u32;
        for (part, width) in v.iter_mut().zip(DIGEST_WIDTHS) {
            let base = BigUint::from(1u32) << width;
            *part = &rest % &base;
            rest /= base;
        }
    };
    assert_refused("split", aliased, body);
    assert_refused("split", |v| v[0] += 1u32, body);
    let carried = |v: &mut [BigUint]| {
        v[0] += BigUint::from(1u32) << 48;
        let one = fe_to_biguint(&-Fr::ONE);
        v[1] = one;
    };
    assert_refused("split", carried, body);
    assert_refused("borrow", |v| v[0] = BigUint::from(1u32) - &v[0], body);
    // Edges: 0, r − 1, and a lower half above r's.
    for x in [Fr::ZERO, -Fr::ONE, Fr::from_raw([u64::MAX, u64::MAX, 0, 0])] {
        assert!(holds(None, |chip| {
            let x = chip.ctx.load_witness(x);
            chip.split(x, &DIGEST_WIDTHS, 3);
            chip.split(x, &[64, 64, 64, 62], 2);
        }));
    }
}

#[test]
fn lies_about_limbs_are_refused() {
    let narrow = |chip: &mut Chip<'_>| {
        let x = raw(chip, &BigUint::from(0x1234u32), 16);
        chip.check_bits(x.cell, 16);
    };
    assert_refused("limbs", |v| v[0] += 1u32, narrow);
    let borrowed = |v: &mut [BigUint]| {
        v[0] += 256u32;
        v[1] -= 1u32;
    };
    assert_refused("limbs", borrowed, narrow);
    for (value, bits) in [(1u64 << 16, 16), (1 << 17, 17), (1 << 5, 5), (1 << 40, 40)] {
        let body = |chip: &mut Chip<'_>, value: u64| {
            let x = raw(chip, &BigUint::from(value), bits);
            chip.check_bits(x.cell, bits);
        };
        assert!(holds(None, |chip| body(chip, value - 1)), "{bits}");
        assert!(!holds(None, |chip| body(chip, value)), "{bits}");
    }
    let wide = |chip: &mut Chip<'_>| {
        let x = raw(chip, &wide(), 131);
        chip.check_bits(x.cell, 131);
    };
    assert_refused("parts", |v| v[1] += 1u32, wide);
    let lowered = |v: &mut [BigUint]| {
        v[0] += BigUint::from(1u32) << 32;
        v[1] = fe_to_biguint(&(biguint_to_fe::<Fr>(&v[1]) - Fr::ONE));
    };
    assert_refused("parts", lowered, wide);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Long sums and products, so that reductions happen inside.
    #[test]
    fn agrees_with_the_field(seed in any::<u64>()) {
        let mut rng = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(seed);
        let values: Vec<tally_circuits::Ext> =
            (0..5).map(|_| Sample::sample(&mut rng)).collect();
        let coefficients: Vec<F> = (0..5).map(|_| Sample::sample(&mut rng)).collect();
        let expected = formula(&mut Native, &values, &coefficients);
        let ok = holds(None, |chip| {
            let inputs: Vec<Ext> = values.iter().map(|x| chip.ext_witness(*x)).collect();
            let got = formula(chip, &inputs, &coefficients);
            let expected = chip.ext_witness(expected);
            chip.ext_assert_equal(&got, &expected);
        });
        prop_assert!(ok);
    }
}

fn formula<A: Algebra>(algebra: &mut A, x: &[A::E], c: &[F]) -> A::E {
    let seventh = algebra.seventh_power(&x[0]);
    let terms: Vec<(F, A::E)> = c.iter().copied().zip(x.iter().cloned()).collect();
    let sum = algebra.combine(&terms);
    let value = algebra.evaluate(x, &sum);
    let base = algebra.constant(c[0]);
    let difference = algebra.sub(&base, &value);
    let product = algebra.product(&[difference, seventh, base]);
    algebra.sub(&product, &x[4])
}
