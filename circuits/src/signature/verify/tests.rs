use num_bigint::BigUint;
use plonky2::field::types::{Field64, Sample};
use tally_protocol::hash::Digest;
use tally_protocol::message::SignatureRequest;
use tally_protocol::signature::{self, SecretKey, Signature};

use super::*;
use crate::checker::{Attack, Checker, assert_each_assertion_needed};
use crate::gates::curve::{self, Fp5};

fn big(limbs: [u64; 5]) -> BigUint {
    let limbs = limbs.iter().rev();
    limbs.fold(BigUint::ZERO, |n, limb| (n << 64) + limb)
}

fn order() -> BigUint {
    big(ORDER)
}

fn scalar(value: &BigUint) -> Scalar {
    let mut digits = value.iter_u64_digits();
    Scalar::new(core::array::from_fn(|_| digits.next().unwrap_or(0))).unwrap()
}

/// k·G for k ≠ 0 mod n, by the textbook: below n no sum of 2m·G and G is an exception.
fn multiple(k: &BigUint) -> Affine {
    let g = Affine::generator();
    let k = k % order();
    (0..k.bits() - 1).rev().fold(g, |point, i| {
        let twice = point.double();
        match k.bit(i) {
            true => twice.add(&g),
            false => twice,
        }
    })
}

fn inverse(k: &BigUint) -> BigUint {
    k.modpow(&(order() - 2u8), &order())
}

fn secret(k: &BigUint) -> SecretKey {
    SecretKey::from_bytes(&scalar(k).to_bytes()).unwrap()
}

fn checked() -> (SignatureTarget, Checker) {
    let mut b = Builder::new();
    let t = SignatureTarget::verified(&mut b);
    (t, Checker::new(b))
}

fn verdict(
    (t, checker): &(SignatureTarget, Checker),
    request: &SignatureRequest,
    signature: &Signature,
) -> bool {
    let mut witness = PartialWitness::new();
    let signed = SignedRequest {
        request: *request,
        signature: *signature,
    };
    t.assign(&mut witness, &signed).unwrap();
    let honest = checker.check(&witness).is_ok();
    assert_eq!(honest, checker.check_with_lies(&witness, &[]).is_ok());
    honest
}

fn request(key: &SecretKey) -> SignatureRequest {
    SignatureRequest {
        key: key.public(),
        digest: Digest::rand(),
    }
}

#[test]
fn s5_agrees_with_the_native_verifier() {
    let circuit = checked();
    let one = BigUint::from(1u8);
    // ±G, ±2G, and others.
    for k in [
        one.clone(),
        BigUint::from(2u8),
        order() - 1u8,
        order() - 2u8,
        (order() + 1u8) >> 1,
        (one << 300) + 12_345u32,
    ] {
        let key = secret(&k);
        let request = request(&key);
        let signature = key.sign(request.digest);
        assert_eq!(
            signature::verify(&request.key, request.digest, &signature),
            Ok(())
        );
        assert!(verdict(&circuit, &request, &signature), "{k}·G");
        let again = key.sign_with(request.digest, &[7; 32]);
        assert_ne!(signature, again);
        assert!(verdict(&circuit, &request, &again));
    }
}

/// What the native verifier refuses has no witness: lies about nothing help, since all but the bits
/// of s follows from the request.
#[test]
fn s5_p3_forgeries_are_refused() {
    let circuit = checked();
    let (key, other) = (
        secret(&BigUint::from(77_777u32)),
        secret(&BigUint::from(99u8)),
    );
    let request = request(&key);
    let signature = key.sign(request.digest);
    assert!(verdict(&circuit, &request, &signature));
    let refused = |request: &SignatureRequest, signature: &Signature, what: &str| {
        let native = signature::verify(&request.key, request.digest, signature);
        assert!(native.is_err(), "{what}");
        assert!(!verdict(&circuit, request, signature), "{what}");
    };
    for i in 0..4 {
        let mut message = request;
        message.digest.elements[i] += F::ONE;
        refused(&message, &signature, "another message");
    }
    refused(&request, &other.sign(request.digest), "another's signature");
    let minus = |w: [F; 5]| w.map(|element| -element);
    let no_point = (1..).map(F::from_canonical_u64).map(Fp5::from);
    let no_point = no_point.filter(|&w| curve::decode(w).is_none()).take(1);
    let no_point = no_point.map(|w| w.0).collect::<Vec<_>>()[0];
    let neutral = [F::ZERO; 5];
    for key in [neutral, no_point, minus(request.key), other.public()] {
        let request = SignatureRequest { key, ..request };
        refused(&request, &signature, "another key");
    }
    for nonce in [neutral, no_point, minus(signature.nonce)] {
        let signature = Signature { nonce, ..signature };
        refused(&request, &signature, "another nonce");
    }
    let s = Scalar::ZERO;
    refused(&request, &Signature { s, ..signature }, "s = 0");
    let bytes = signature.to_bytes();
    for bit in (0..8 * bytes.len()).step_by(23) {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = Signature::from_bytes(&bytes) {
            refused(&request, &flipped, "a flipped bit");
        }
    }
}

/// Both products for every shape of their bits, against the textbook.
#[test]
fn s5_the_products_agree() {
    let harness = Harness::new();
    let ends = [
        0,
        1,
        (1 << 32) - 1,
        1 << 32,
        0xffff_ffff_0000_0000,
        0x0123_4567_89ab_cdef,
    ];
    for (i, &low) in ends.iter().enumerate() {
        let e = [low, ends[(i * 5 + 3) % ends.len()]];
        for s in [1u64, 2, 1 << 40] {
            harness.assert_accepted(e, &(BigUint::from(s) << (53 * i)));
        }
        harness.assert_accepted(e, &(order() - 1u8));
    }
}

/// The equation alone, the challenge being given.
struct Harness {
    targets: Targets,
    checker: Checker,
}

struct Targets {
    key: [Target; 5],
    nonce: [Target; 5],
    challenge: [Target; 2],
    rows: Rows,
    numbers: Vec<Vec<Target>>,
}

fn build(b: &mut Builder) -> Targets {
    let key = b.add_virtual_target_arr();
    let nonce = b.add_virtual_target_arr();
    let challenge = b.add_virtual_target_arr();
    let rows = check(b, &key, &nonce, challenge);
    Targets {
        key,
        nonce,
        challenge,
        rows,
        numbers: b.hints("challenge"),
    }
}

/// A secret, and c of a challenge's elements, lower first.
fn a() -> BigUint {
    (BigUint::from(1u8) << 318) + 987_654_321u32
}

fn c([low, high]: [u64; 2]) -> BigUint {
    let e = BigUint::from(low) + (BigUint::from(high) << 64);
    (BigUint::from(1u8) << 128) + 2u8 * e + 1u8
}

/// x − y mod n.
fn minus(x: &BigUint, y: &BigUint) -> BigUint {
    (x + order() - y % order()) % order()
}

impl Targets {
    /// For the key a·G and R = ρ·G.
    fn witness(&self, e: [u64; 2], s: &BigUint, rho: &BigUint) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        let key = multiple(&a()).encode();
        witness.set_target_arr(&self.key, &key.0).unwrap();
        let nonce = multiple(rho).encode();
        witness.set_target_arr(&self.nonce, &nonce.0).unwrap();
        let challenge = e.map(F::from_noncanonical_u64);
        witness.set_target_arr(&self.challenge, &challenge).unwrap();
        assign_scalar(&mut witness, &self.rows.fixed, &scalar(s)).unwrap();
        witness
    }

    fn point(row: usize, first: usize, point: &Affine) -> Vec<(Target, F)> {
        wires(row, first, 10)
            .into_iter()
            .zip(point.elements())
            .collect()
    }
}

impl Harness {
    fn new() -> Self {
        let mut b = Builder::new();
        let targets = build(&mut b);
        let checker = Checker::new(b);
        Self { targets, checker }
    }

    /// The one R that fits is accepted, and −R is not.
    fn assert_accepted(&self, e: [u64; 2], s: &BigUint) {
        let rho = minus(s, &(c(e) * a()));
        for (rho, fits) in [(rho.clone(), true), (order() - rho, false)] {
            let witness = self.targets.witness(e, s, &rho);
            assert_eq!(self.checker.check(&witness).is_ok(), fits, "{e:?} {s}");
        }
        let accepted = self
            .checker
            .check(&self.targets.witness(e, s, &minus(s, &(c(e) * a()))));
        let rows = &self.targets.rows;
        let t = wires(rows.points, PointsGate::WIRE_T, 10);
        let product = multiple(&(c(e) * a())).elements();
        assert_eq!(accepted.unwrap().get_all(&t), product);
    }
}

const E: [u64; 2] = [5, 0x8000_1234_5678_9abc];

/// Lies that need one connection each to be missing. The liar knows all discrete logarithms, so he
/// finds the one value of a place that makes the rest fit; ρ is a forged nonce.
fn attacks(t: &Targets) -> Vec<Attack> {
    let (s, rho) = (BigUint::from(31_337u32), BigUint::from(271_828u32));
    // s·G and c·A as they should be for this ρ.
    let (honest_s, honest_t) = (s.clone(), c(E) * a());
    let (forged_s, forged_t) = (&honest_t + &rho, minus(&s, &rho));
    let mut attacks = Vec::new();
    let mut push = |lies: Vec<(Target, F)>, rho: &BigUint| {
        attacks.push(Attack::new("place", t.witness(E, &s, rho), &lies));
    };
    let points = t.rows.points;
    push(
        Targets::point(points, PointsGate::WIRE_S, &multiple(&forged_s)),
        &rho,
    );
    push(
        Targets::point(points, PointsGate::WIRE_T, &multiple(&forged_t)),
        &rho,
    );
    let honest_rho = minus(&honest_s, &honest_t);
    let encoding = |place: usize, k: &BigUint| -> Vec<(Target, F)> {
        let elements = multiple(k).encode().0;
        wires(points, place, 5).into_iter().zip(elements).collect()
    };
    push(encoding(PointsGate::WIRE_NONCE, &honest_rho), &rho);
    // Another key for which s fits ρ.
    push(
        encoding(PointsGate::WIRE_KEY, &(forged_t.clone() * inverse(&c(E)))),
        &rho,
    );
    for lies in ladder_lies(t, &s, &forged_s, &forged_t) {
        push(lies, &rho);
    }
    attacks.extend(number_attacks(t, &s));
    attacks
}

/// A ladder that goes on from elsewhere, and one that adds another point in one row, and ends at
/// what the forged ρ needs of it.
fn ladder_lies(
    t: &Targets,
    s: &BigUint,
    forged_s: &BigUint,
    forged_t: &BigUint,
) -> Vec<Vec<(Target, F)>> {
    let two = BigUint::from(2u8);
    let mut lies = Vec::new();
    let bits: Vec<bool> = E
        .iter()
        .rev()
        .flat_map(|e| (0..64).rev().map(move |i| e >> i & 1 == 1))
        .collect();
    let sum = |bits: &[bool]| {
        bits.iter().fold(BigUint::ZERO, |sum, &bit| {
            let step = if bit {
                BigUint::from(1u8)
            } else {
                order() - 1u8
            };
            (2u8 * sum + step) % order()
        })
    };
    for (r, &row) in t.rows.variable.iter().enumerate() {
        let (before, from) = bits.split_at(STEPS * r);
        let (own, rest) = from.split_at(STEPS);
        let back = |k: &BigUint, steps: usize| k * inverse(&two.modpow(&steps.into(), &order()));
        let x = back(&minus(forged_t, &(sum(from) * a())), from.len());
        let before_wires = LadderGate::<Variable>::WIRE_BEFORE;
        lies.push(Targets::point(row, before_wires, &multiple(&x)));
        let at = (two.modpow(&(before.len() + 1).into(), &order()) + sum(before)) * a();
        let after = back(&minus(forged_t, &(sum(rest) * a())), rest.len());
        let base = minus(&after, &((at % order()) << STEPS)) * inverse(&sum(own));
        let input = LadderGate::<Variable>::wire_input(0);
        lies.push(Targets::point(row, input, &multiple(&base)));
    }
    // s·G from elsewhere: what the last rows add is the same, so the start makes up for all.
    for (r, &row) in t.rows.fixed.iter().enumerate() {
        let steps = BigUint::from(STEPS * (t.rows.fixed.len() - r));
        let difference = minus(forged_s, s) * inverse(&two.modpow(&steps, &order()));
        let x = (fixed_before(s, r) + difference) % order();
        let before_wires = LadderGate::<Fixed>::WIRE_BEFORE;
        lies.push(Targets::point(row, before_wires, &multiple(&x)));
    }
    lies
}

/// What s·G's ladder stands at before a row, times G.
fn fixed_before(s: &BigUint, row: usize) -> BigUint {
    let t = big(multiplier(&scalar(s)).unwrap().limbs());
    let mut k = BigUint::from(2u8);
    for step in 0..STEPS * row {
        k = 2u8 * k + 2u8 * order();
        for chunk in 0..CHUNKS {
            let weight = (BigUint::from(1u8) << (CHUNK_BITS * chunk)) % order();
            match t.bit((CHUNK_BITS * chunk + CHUNK_BITS - 1 - step) as u64) {
                true => k += weight,
                false => k += order() - weight,
            }
        }
        k %= order();
    }
    k
}

/// Other bits than the challenge's, with the R that fits them.
fn number_attacks(t: &Targets, s: &BigUint) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let input = LadderGate::<Variable>::wire_input;
    let mut push = |e: [u64; 2], claimed: [u64; 2], lies: Vec<(Target, F)>| {
        let rho = minus(s, &(c(claimed) * a()));
        attacks.push(Attack::new("number", t.witness(e, s, &rho), &lies));
    };
    for (r, &row) in t.rows.variable.iter().enumerate() {
        let (element, place) = (1 - r / 8, 8 * (7 - r % 8));
        let mut claimed = E;
        claimed[element] ^= 1 << place;
        let number = |i: usize| Target::wire(row, input(i));
        let prefix = |value: u64| (value >> place) & ((1 << (8 * (r % 4 + 1))) - 1);
        let (after, lie) = (prefix(E[element]), prefix(claimed[element]));
        let told = F::from_canonical_u64(lie);
        push(E, claimed, vec![(number(Variable::NUMBER_AFTER), told)]);
        let byte = F::from_canonical_u64(lie & 0xff);
        let before = (F::from_canonical_u64(after) - byte) / F::from_canonical_u64(256);
        push(E, claimed, vec![(number(Variable::NUMBER_BEFORE), before)]);
    }
    let prefixes = |element: usize, value: u64| -> Vec<(Target, F)> {
        let numbers = &t.numbers[1 - element];
        let number = |i: usize| {
            let half = if i < 4 {
                value >> 32
            } else {
                value & 0xffff_ffff
            };
            F::from_canonical_u64(half >> (8 * (3 - i % 4)))
        };
        numbers
            .iter()
            .enumerate()
            .map(|(i, &target)| (target, number(i)))
            .collect()
    };
    for element in [0, 1] {
        let mut claimed = E;
        claimed[element] += 1;
        push(E, claimed, prefixes(element, claimed[element]));
        // The residue plus p.
        let mut small = E;
        small[element] = 0xffff_fffd;
        let mut claimed = small;
        claimed[element] += F::ORDER;
        push(small, claimed, prefixes(element, claimed[element]));
    }
    attacks
}

#[test]
fn s5_p3_every_assertion_is_needed() {
    assert_each_assertion_needed(build, attacks);
}

/// The key's other x, which is no square and belongs to −A outside of the subgroup, with each root
/// that one might name; a doubled key that is another point.
#[test]
fn s5_lies_about_the_key_are_refused() {
    let harness = Harness::new();
    let t = &harness.targets;
    let s = BigUint::from(31_337u32);
    let rho = minus(&s, &(c(E) * a()));
    let witness = t.witness(E, &s, &rho);
    assert!(harness.checker.check(&witness).is_ok());
    let points = t.rows.points;
    let key = multiple(&a());
    let x = curve::b() / key.x;
    assert_eq!(curve::sqrt(x), None);
    let other = Affine {
        x,
        y: -(key.encode() * x),
    };
    let lie = |place: usize, elements: &[F]| -> Vec<(Target, F)> {
        wires(points, place, elements.len())
            .into_iter()
            .zip(elements.iter().copied())
            .collect()
    };
    for root in [
        Fp5::ZERO,
        Fp5::ONE,
        x,
        curve::sqrt(key.x).unwrap(),
        Fp5::rand(),
    ] {
        let mut lies = lie(PointsGate::WIRE_A, &other.elements());
        lies.extend(lie(PointsGate::WIRE_DOUBLE, &other.double().elements()));
        lies.extend(lie(PointsGate::WIRE_ROOT, &root.0));
        assert!(harness.checker.check_with_lies(&witness, &lies).is_err());
    }
    let lies = lie(PointsGate::WIRE_DOUBLE, &multiple(&(3u8 * a())).elements());
    assert!(harness.checker.check_with_lies(&witness, &lies).is_err());
    // The other root of the same x is no lie.
    let root = curve::sqrt(key.x).unwrap();
    for root in [root, -root] {
        let lies = lie(PointsGate::WIRE_ROOT, &root.0);
        assert!(harness.checker.check_with_lies(&witness, &lies).is_ok());
    }
}

/// s·G = c·A would make R neutral; s·G = −c·A and s = 0 need an e that hits a number. All have no
/// witness, whatever is said of the chord.
#[test]
fn s5_equal_coordinates_are_refused() {
    let harness = Harness::new();
    let t = &harness.targets;
    let product = c(E) * a() % order();
    for (s, rho) in [
        (product.clone(), BigUint::from(5u8)),
        (
            order() - &product,
            minus(&(2u8 * order()), &(2u8 * &product)),
        ),
    ] {
        let witness = t.witness(E, &s, &rho);
        assert!(harness.checker.check(&witness).is_err());
        for chord in [multiple(&product).tangent(), Fp5::ZERO, Fp5::rand()] {
            for inverse in [Fp5::ZERO, Fp5::ONE] {
                let values = [inverse.0, chord.0].concat();
                let places = wires(t.rows.points, PointsGate::WIRE_INVERSE, 10);
                let lies: Vec<_> = places.into_iter().zip(values).collect();
                assert!(harness.checker.check_with_lies(&witness, &lies).is_err());
            }
        }
    }
}

#[test]
fn rows_are_pinned() {
    let rows = |n: usize| {
        let mut b = Builder::new();
        (0..n).for_each(|_| {
            SignatureTarget::verified(&mut b);
        });
        b.rows()
    };
    assert_eq!(rows(260) - rows(130), 130 * 29 + 42);
}
