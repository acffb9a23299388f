//! One Schnorr signature [S5]: twin of `tally_protocol::signature::verify`.
//!
//! Statement: the key encodes an element A but the neutral one of the group, and for a known
//! number t, (2t + 1 − 2^320 + 2^81)·G = R + c·A, where the nonce encodes R and c = 2^128 + 2e + 1
//! for e as in `signature::challenge`, of canonical residues.
//! Guarantees who fills this knows an s with s·G = R + c·A. That some s exists is true of any R and
//! A, so it is the proof system's being an argument of *knowledge* that counts here, as in any
//! proof of a Schnorr signature. s need not be below n: t is a witness that nothing else reads.
//! Both products stay in the subgroup of order n (`gates::curve`); A is there because its x is a
//! square.
//! - c·A: from 2A by 128 steps ±A. Before step i it stands at k·A, 2^i < k < 3·2^i, so k is neither
//!   0 nor ±1 mod n: no exception for any A and e.
//! - s·G: from 2G by 80 steps ±G ± 2^80·G ± 2^160·G ± 2^240·G. No bits lead to an exception
//!   (`gates::curve` tests all), but to O at the very end, s = 0, which is refused.
//! - R = s·G − c·A by the chord; x equal on both sides is refused. That is R = O, which no nonce
//!   encodes, or s·G = −c·A. For a given R and A at most one e leads there, and one to s = 0; the
//!   hash of both draws it: two chances in 2^128 that an honest signature is refused.
//!
//! Cost: 16 rows for c·A, 10 for s·G, 1 for the points, 2 for the challenge, a few operations.

use plonky2::field::types::{Field, PrimeField64};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::Tag;
use tally_protocol::signature::curve::ORDER;
use tally_protocol::signature::{Scalar, SignedRequest};

use crate::gadgets::logic;
use crate::gates::curve::{Affine, CHUNK_BITS, CHUNKS};
use crate::gates::ladder::{Fixed, LadderGate, STEPS, Variable};
use crate::gates::points::PointsGate;
use crate::hash::hash;
use crate::signature::request::SignatureRequestTarget;
use crate::{Builder, F};

/// Bits of a half of a challenge's element.
const HALF_BITS: usize = 32;
const HALF_ROWS: usize = HALF_BITS / STEPS;

/// A signature with what it signs.
#[derive(Clone, Debug)]
pub struct SignatureTarget {
    pub request: SignatureRequestTarget,
    pub nonce: [Target; 5],
    pub rows: Rows,
}

impl SignatureTarget {
    /// A request that a signature answers.
    #[track_caller]
    pub fn verified(b: &mut Builder) -> Self {
        let request = SignatureRequestTarget::new_unchecked(b);
        let nonce: [Target; 5] = b.add_virtual_target_arr();
        let words = [&nonce[..], &request.key, &request.digest].concat();
        let [low, high, ..] = hash(b, Tag::Signature, &words).elements;
        let rows = check(b, &request.key, &nonce, [low, high]);
        Self {
            request,
            nonce,
            rows,
        }
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        signed: &SignedRequest,
    ) -> anyhow::Result<()> {
        let SignedRequest { request, signature } = signed;
        self.request.assign(witness, request)?;
        witness.set_target_arr(&self.nonce, &signature.nonce)?;
        assign_scalar(witness, &self.rows.fixed, &signature.s)
    }
}

/// The rows of a verification, by its gates.
#[derive(Clone, Debug)]
pub struct Rows {
    pub points: usize,
    /// c·A, the highest bits first.
    pub variable: Vec<usize>,
    /// s·G, the same.
    pub fixed: Vec<usize>,
}

/// The equation for the challenge's elements, lower first.
#[track_caller]
fn check(b: &mut Builder, key: &[Target; 5], nonce: &[Target; 5], challenge: [Target; 2]) -> Rows {
    let points = b.add_gate(PointsGate, vec![]);
    b.connect_all(key, &wires(points, PointsGate::WIRE_KEY, 5));
    b.connect_all(nonce, &wires(points, PointsGate::WIRE_NONCE, 5));
    let a = wires(points, PointsGate::WIRE_A, 10);
    let mut point = wires(points, PointsGate::WIRE_DOUBLE, 10);
    let mut variable = Vec::new();
    let zero = b.zero();
    for element in challenge.into_iter().rev() {
        for half in halves(b, element) {
            let mut before = zero;
            for number in half {
                let row = b.add_gate(LadderGate::<Variable>::new(), vec![]);
                let input = LadderGate::<Variable>::wire_input;
                b.connect_all(&point, &before_wires::<Variable>(row));
                b.connect_all(&a, &wires(row, input(0), 10));
                b.connect(before, Target::wire(row, input(Variable::NUMBER_BEFORE)));
                b.connect(number, Target::wire(row, input(Variable::NUMBER_AFTER)));
                before = number;
                point = wires(row, LadderGate::<Variable>::WIRE_AFTER, 10);
                variable.push(row);
            }
        }
    }
    b.connect_all(&point, &wires(points, PointsGate::WIRE_T, 10));
    let start = Affine::generator().double().elements();
    let mut point = b.constants(&start);
    let mut fixed = Vec::new();
    for _ in 0..CHUNK_BITS / STEPS {
        let row = b.add_gate(LadderGate::<Fixed>::new(), vec![]);
        b.connect_all(&point, &before_wires::<Fixed>(row));
        point = wires(row, LadderGate::<Fixed>::WIRE_AFTER, 10);
        fixed.push(row);
    }
    b.connect_all(&point, &wires(points, PointsGate::WIRE_S, 10));
    Rows {
        points,
        variable,
        fixed,
    }
}

fn wires(row: usize, first: usize, count: usize) -> Vec<Target> {
    (first..first + count)
        .map(|column| Target::wire(row, column))
        .collect()
}

fn before_wires<S: crate::gates::ladder::Summand>(row: usize) -> Vec<Target> {
    wires(row, LadderGate::<S>::WIRE_BEFORE, 10)
}

/// The halves of an element's canonical residue, higher first, each as its 8, 16, 24 and 32 highest
/// bits. Assumes rows that hold each number to be 256 times the one before and a byte. Then a half
/// is below 2^32, and of the two pairs that an element below 2^32 − 1 has, the one of the residue
/// plus p is refused.
#[track_caller]
fn halves(b: &mut Builder, element: Target) -> [[Target; HALF_ROWS]; 2] {
    let numbers = b.hint("challenge", &[element], 2 * HALF_ROWS, |v| {
        let value = v[0].to_canonical_u64();
        let halves = [value >> HALF_BITS, value & u64::from(u32::MAX)];
        let prefix = |half: u64, i: usize| half >> (HALF_BITS - STEPS * (i + 1));
        let prefixes = halves.map(|half| core::array::from_fn(|i| prefix(half, i)));
        let prefixes: [[u64; HALF_ROWS]; 2] = prefixes;
        prefixes
            .into_iter()
            .flatten()
            .map(F::from_canonical_u64)
            .collect()
    });
    let halves: [[Target; HALF_ROWS]; 2] =
        core::array::from_fn(|half| core::array::from_fn(|i| numbers[HALF_ROWS * half + i]));
    let [high, low] = halves.map(|half| half[HALF_ROWS - 1]);
    let whole = b.mul_const_add(F::from_canonical_u64(1 << HALF_BITS), high, low);
    b.connect(whole, element);
    // p = (2^32 − 1)·2^32 + 1.
    let top = b.constant(F::from_canonical_u64(u32::MAX.into()));
    let is_top = logic::is_equal(b, high, top);
    let zero = b.zero();
    logic::assert_equal_if(b, is_top, low, zero);
    halves
}

/// Sets the bits of t: s = 2t + 1 − 2^320 + 2^81 mod n, t below n.
fn assign_scalar(
    witness: &mut PartialWitness<F>,
    fixed: &[usize],
    s: &Scalar,
) -> anyhow::Result<()> {
    let t = multiplier(s)?.limbs();
    for (r, &row) in fixed.iter().enumerate() {
        for i in 0..STEPS * CHUNKS {
            let (step, chunk) = (STEPS * r + i / CHUNKS, i % CHUNKS);
            let place = CHUNK_BITS * chunk + CHUNK_BITS - 1 - step;
            let bit = t[place / 64] >> (place % 64) & 1 == 1;
            let wire = Target::wire(row, LadderGate::<Fixed>::wire_bit(i));
            witness.set_target(wire, F::from_bool(bit))?;
        }
    }
    Ok(())
}

/// t = (s + 2^320 − 1 − 2^81)/2 mod n.
fn multiplier(s: &Scalar) -> anyhow::Result<Scalar> {
    let number =
        |limbs: [u64; 5]| Scalar::new(limbs).ok_or_else(|| anyhow::anyhow!("[S5] n or more"));
    let [n0, n1, n2, n3, n4] = ORDER;
    let minus_one = number([n0 - 1, n1, n2, n3, n4])?;
    let shifted: [u64; 5] = core::array::from_fn(|i| {
        let above = ORDER.get(i + 1).copied().unwrap_or(0);
        ORDER[i] >> 1 | above << 63
    });
    let half = number([
        shifted[0] + 1,
        shifted[1],
        shifted[2],
        shifted[3],
        shifted[4],
    ])?;
    let mut all = [0; 64];
    all[..40].fill(u8::MAX);
    let start = Scalar::from(1 << (CHUNK_BITS + 1)).mul(&minus_one);
    Ok(s.add(&Scalar::reduce(&all)).add(&start).mul(&half))
}

#[cfg(test)]
mod tests;
