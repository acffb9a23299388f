//! FRI's verifier as constraints: the openings are those of polynomials of low degree.
//!
//! Twin of Plonky2's `verify_fri_proof`. Folding by 16 is done as four foldings by 2, with
//! γ = (β / x)^2ˡ: the value of the same polynomial, without inverting sixteen differences.

use halo2_base::QuantumCell;
use plonky2::field::extension::Extendable;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::fri::FriParams;
use plonky2::fri::proof::FriQueryRound;
use tally_circuits::{D, F};

use crate::algebra::Algebra;
use crate::chip::{Cell, Chip, Ext, Int, WORD, constant};
use crate::hash::Bn254Poseidon;
use crate::layers::LastCommon;
use crate::poseidon::to_halo;

/// Coefficients of the final polynomial that one step of its evaluation takes.
const STEP: usize = 16;

/// One point at which polynomials are opened: ζ, or the next row's gζ.
#[derive(Clone, Debug)]
pub struct Batch {
    pub point: Ext,
    /// Tree and place in its leaf.
    pub polynomials: Vec<(usize, usize)>,
    pub values: Vec<Ext>,
}

/// What FRI is about, and the transcript's challenges.
#[derive(Clone, Debug)]
pub struct Instance {
    pub batches: Vec<Batch>,
    /// Of the four trees.
    pub caps: Vec<Vec<Cell>>,
    pub commit_caps: Vec<Vec<Cell>>,
    pub final_polynomial: Vec<Ext>,
    pub alpha: Ext,
    pub betas: Vec<Ext>,
}

/// Polynomials in the leaves of each tree: constants and sigmas, wires, Z's, quotients.
pub fn tree_widths(common: &LastCommon) -> [usize; 4] {
    let config = &common.config;
    [
        common.sigmas_range().end,
        config.num_wires,
        config.num_challenges * (1 + common.num_partial_products),
        config.num_challenges * common.quotient_degree_factor,
    ]
}

/// The batches' polynomials, as places in trees: all at ζ, the Z's also at gζ.
pub fn polynomials(common: &LastCommon) -> [Vec<(usize, usize)>; 2] {
    let all = (0..).zip(tree_widths(common));
    [
        all.flat_map(|(tree, size)| (0..size).map(move |i| (tree, i)))
            .collect(),
        common.zs_range().map(|i| (2, i)).collect(),
    ]
}

/// The work's response, canonical, has as many leading zeros as demanded.
pub fn check_work(chip: &mut Chip<'_>, params: &FriParams, response: Int) {
    let response = chip.canonical(response);
    let bits = WORD - params.config.proof_of_work_bits as usize;
    chip.check_bits(response.cell, bits);
}

/// What all queries share.
#[derive(Debug)]
pub struct Queries<'a> {
    instance: &'a Instance,
    params: &'a FriParams,
    /// Of α, as many as the larger batch has polynomials, and one more.
    powers: Vec<Ext>,
    /// Σ αⁱ valueᵢ of each batch.
    reduced: Vec<Ext>,
}

impl<'a> Queries<'a> {
    pub fn new(chip: &mut Chip<'_>, instance: &'a Instance, params: &'a FriParams) -> Self {
        assert!(!params.hiding, "no leaf is salted");
        let longest = instance
            .batches
            .iter()
            .map(|batch| batch.values.len())
            .max();
        let mut power = Algebra::constant(chip, F::ONE);
        let mut powers = vec![power];
        for _ in 0..longest.unwrap_or(0) {
            power = Algebra::mul(chip, &power, &instance.alpha);
            power = chip.ext_reduce(&power);
            powers.push(power);
        }
        let batches = instance.batches.iter();
        let reduced = batches.map(|batch| {
            let terms: Vec<_> = powers.iter().copied().zip(batch.values.clone()).collect();
            let sum = chip.ext_dot(&terms);
            chip.ext_reduce(&sum)
        });
        Self {
            reduced: reduced.collect(),
            instance,
            params,
            powers,
        }
    }

    /// One query at the index that the challenge gives.
    pub fn check(
        &self,
        chip: &mut Chip<'_>,
        challenge: Int,
        round: &FriQueryRound<F, Bn254Poseidon, D>,
    ) {
        let index = chip.canonical(challenge);
        let index = chip.low_bits(index, self.params.lde_bits());
        let initial = &round.initial_trees_proof.evals_proofs;
        let leaves = initial.iter().zip(&self.instance.caps);
        let leaves: Vec<Vec<Int>> = leaves
            .map(|((evaluations, proof), cap)| {
                let leaf: Vec<Int> = evaluations.iter().map(|x| chip.witness(*x)).collect();
                let siblings = siblings(chip, &proof.siblings);
                chip.check_path(&leaf, &index, &siblings, cap);
                leaf
            })
            .collect();
        let arity_bits = self.params.reduction_arity_bits[0];
        let start = domain_point(chip, &index, arity_bits..index.len());
        let within = domain_factor(chip, &index, 0..arity_bits);
        let x = chip.mul(start, within);
        let x = chip.reduce(x);
        let mut value = self.combine(chip, &leaves, x);

        let mut index = &index[..];
        let mut start = start;
        for (i, &bits) in self.params.reduction_arity_bits.iter().enumerate() {
            let step = &round.steps[i];
            let values: Vec<Ext> = step.evals.iter().map(|x| chip.ext_witness(*x)).collect();
            let (within, rest) = index.split_at(bits);
            self.check_picked(chip, within, &values, &value);
            let leaf: Vec<Int> = values
                .iter()
                .flat_map(|x| [Some(x.low), x.high])
                .flatten()
                .collect();
            let siblings = siblings(chip, &step.merkle_proof.siblings);
            chip.check_path(&leaf, rest, &siblings, &self.instance.commit_caps[i]);
            value = fold(chip, &values, start, &self.instance.betas[i]);
            for _ in 0..bits {
                start = chip.mul(start, start);
                start = chip.reduce(start);
            }
            index = rest;
            if i + 1 < self.params.reduction_arity_bits.len() {
                // The next coset starts where its own lowest bits are zero.
                let next = self.params.reduction_arity_bits[i + 1];
                let within = domain_factor(chip, index, 0..next);
                start = divide(chip, start, within);
            }
        }
        let expected = evaluate(chip, &self.instance.final_polynomial, start);
        chip.ext_assert_equal(&expected, &value);
    }

    /// Σ over the batches of (Σ αⁱ leafᵢ − Σ αⁱ valueᵢ) / (x − point), in powers of α.
    fn combine(&self, chip: &mut Chip<'_>, leaves: &[Vec<Int>], x: Int) -> Ext {
        let mut sum: Option<Ext> = None;
        for (batch, reduced) in self.instance.batches.iter().zip(&self.reduced) {
            let places = batch.polynomials.iter().map(|(tree, i)| leaves[*tree][*i]);
            let terms: Vec<_> = self.powers.iter().copied().zip(places).collect();
            let leaf = chip.ext_dot_base(&terms);
            let numerator = Algebra::sub(chip, &leaf, reduced);
            let denominator = Algebra::sub(chip, &x.into(), &batch.point);
            let inverse = chip.ext_invert(&denominator);
            let quotient = Algebra::mul(chip, &numerator, &inverse);
            sum = Some(match sum {
                None => quotient,
                Some(sum) => {
                    let shift = &self.powers[batch.polynomials.len()];
                    let shifted = Algebra::mul(chip, &sum, shift);
                    Algebra::add(chip, &shifted, &quotient)
                }
            });
        }
        let sum = sum.expect("there is a batch");
        chip.ext_reduce(&sum)
    }

    /// The value that the last step gave is the one at this place of the next coset.
    fn check_picked(&self, chip: &mut Chip<'_>, within: &[Cell], values: &[Ext], value: &Ext) {
        let cells = |part: fn(&Ext) -> Int| -> Vec<Cell> {
            values.iter().map(|value| part(value).cell).collect()
        };
        let low = chip.pick(within, &cells(|x| x.low));
        let high = chip.pick(within, &cells(|x| x.high.expect("leaves hold both parts")));
        let word = |cell| Int { cell, bits: WORD };
        chip.ext_assert_equal(&Ext::new(word(low), word(high)), value);
    }
}

fn siblings(chip: &mut Chip<'_>, siblings: &[crate::hash::Digest]) -> Vec<Cell> {
    siblings
        .iter()
        .map(|digest| chip.load(QuantumCell::Witness(to_halo(digest.0))))
        .collect()
}

/// ω^reversed(bits of the range): leaves are in bit-reversed order, the index's i-th bit from the
/// bottom is worth 2^(n−1−i).
fn domain_factor(chip: &mut Chip<'_>, index: &[Cell], range: std::ops::Range<usize>) -> Int {
    let omega = F::primitive_root_of_unity(index.len());
    let mut product = chip.constant(F::ONE);
    for i in range {
        let power = omega.exp_power_of_2(index.len() - 1 - i);
        let step = constant((power - F::ONE).to_canonical_u64());
        // 1 or the power, so below 2^64 as an integer: power − 1 is not reduced past zero.
        let factor = chip.gate(constant(1), index[i].into(), step);
        let factor = Int {
            cell: factor,
            bits: WORD,
        };
        product = chip.mul(product, factor);
    }
    chip.reduce(product)
}

/// The same on the coset that polynomials are committed on.
fn domain_point(chip: &mut Chip<'_>, index: &[Cell], range: std::ops::Range<usize>) -> Int {
    let factor = domain_factor(chip, index, range);
    let shifted = chip.combine(&[(F::coset_shift(), factor)]);
    chip.reduce(shifted)
}

fn divide(chip: &mut Chip<'_>, a: Int, b: Int) -> Int {
    let inverse = chip.ext_invert(&b.into());
    let quotient = Algebra::mul(chip, &a.into(), &inverse);
    let quotient = chip.ext_reduce(&quotient);
    // Quotients of base elements are base elements.
    if let Some(high) = quotient.high {
        chip.assert_zero(high);
    }
    quotient.low
}

/// P'(x^arity) at β from P on the coset that starts at x, values in bit-reversed order.
fn fold(chip: &mut Chip<'_>, values: &[Ext], x: Int, beta: &Ext) -> Ext {
    let bits = values.len().ilog2() as usize;
    let root = F::primitive_root_of_unity(bits);
    let inverse = chip.ext_invert(&x.into());
    let mut t = Algebra::mul(chip, beta, &inverse);
    let mut values = values.to_vec();
    for level in 0..bits {
        t = chip.ext_reduce(&t);
        let points = values.len();
        let root = root.exp_power_of_2(level).inverse();
        // In this order a point and its negative are neighbours.
        let pairs = values.chunks(2).enumerate().map(|(i, pair)| {
            let power = root.exp_u64(reverse_bits(2 * i, points.ilog2() as usize) as u64);
            let difference = Algebra::combine(chip, &[(power, pair[0]), (-power, pair[1])]);
            let odd = Algebra::mul(chip, &difference, &t);
            let even = Algebra::add(chip, &pair[0], &pair[1]);
            let sum = Algebra::add(chip, &even, &odd);
            chip.ext_reduce(&sum)
        });
        values = pairs.collect();
        t = Algebra::mul(chip, &t, &t);
    }
    let halves = F::TWO.exp_u64(bits as u64).inverse();
    let value = Algebra::combine(chip, &[(halves, values[0])]);
    chip.ext_reduce(&value)
}

/// The final polynomial at a base element, sixteen coefficients at a time.
fn evaluate(chip: &mut Chip<'_>, coefficients: &[Ext], x: Int) -> Ext {
    let mut powers = vec![chip.constant(F::ONE)];
    for i in 1..=STEP {
        let power = chip.mul(powers[i - 1], x);
        powers.push(chip.reduce(power));
    }
    let step = Ext::from(powers[STEP]);
    let mut sum: Option<Ext> = None;
    for chunk in coefficients.chunks(STEP).rev() {
        let terms: Vec<_> = chunk.iter().copied().zip(powers.iter().copied()).collect();
        let value = chip.ext_dot_base(&terms);
        let next = match sum {
            None => value,
            Some(sum) => {
                let shifted = Algebra::mul(chip, &sum, &step);
                Algebra::add(chip, &shifted, &value)
            }
        };
        sum = Some(chip.ext_reduce(&next));
    }
    sum.expect("a polynomial has coefficients")
}

/// The lowest bits, in the other order.
fn reverse_bits(value: usize, bits: usize) -> usize {
    (0..bits).fold(0, |reversed, i| reversed << 1 | (value >> i & 1))
}

/// Plonky2 computes in GF(p²) as this crate does.
const _: () = assert!(<F as Extendable<D>>::W.0 == crate::algebra::W);
