//! Plonky2's polynomial identity at ζ, over any algebra: gates, permutation and quotient.

use std::ops::Range;

use plonky2::field::types::Field;
use tally_circuits::F;

use crate::algebra::Algebra;
use crate::gates::{Row, UnknownGate, evaluate};
use crate::layers::LastCommon;

/// A selector's value in rows of other groups (Plonky2's `UNUSED_SELECTOR`).
const UNUSED: usize = u32::MAX as usize;

/// Which gate a row is of, read off the constants: gates come in groups with a selector each.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Selectors {
    selector_indices: Vec<usize>,
    groups: Vec<Range<usize>>,
}

impl Selectors {
    /// Plonky2 keeps the fields to itself but writes them.
    pub fn of(common: &LastCommon) -> Self {
        let written = serde_json::to_value(&common.selectors_info);
        let read = written.and_then(serde_json::from_value);
        let selectors: Self = read.expect("the fields have the names that Plonky2 1.1 gives them");
        assert_eq!(selectors.selector_indices.len(), common.gates.len());
        assert_eq!(
            selectors.groups.len(),
            common.selectors_info.num_selectors()
        );
        selectors
    }

    /// Not zero at a row of this gate, zero at every other.
    pub(crate) fn filter<A: Algebra>(
        &self,
        algebra: &mut A,
        gate: usize,
        constants: &[A::E],
    ) -> A::E {
        let index = self.selector_indices[gate];
        let others = self.groups[index].clone().filter(|other| *other != gate);
        let unused = (self.groups.len() > 1).then_some(UNUSED);
        let mut filter = algebra.constant(F::ONE);
        for value in others.chain(unused) {
            let value = algebra.constant(F::from_canonical_usize(value));
            let factor = algebra.sub(&value, &constants[index]);
            filter = algebra.mul(&filter, &factor);
        }
        algebra.settle(&filter)
    }
}

/// Every polynomial's claimed value.
#[derive(Clone, Debug)]
pub struct Openings<E> {
    pub constants: Vec<E>,
    pub sigmas: Vec<E>,
    pub wires: Vec<E>,
    pub zs: Vec<E>,
    pub zs_next: Vec<E>,
    pub partial_products: Vec<E>,
    pub quotients: Vec<E>,
}

impl<E: Clone> Openings<E> {
    /// All at ζ, in the order of the transcript and of FRI.
    pub fn at_zeta(&self) -> Vec<E> {
        let Self {
            constants,
            sigmas,
            wires,
            zs,
            partial_products,
            quotients,
            ..
        } = self;
        [constants, sigmas, wires, zs, partial_products, quotients]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

/// What the identity is checked with.
#[derive(Clone, Debug)]
pub struct Challenges<E> {
    pub betas: Vec<E>,
    pub gammas: Vec<E>,
    pub alphas: Vec<E>,
    pub zeta: E,
}

/// The identity's sides, a pair for each repetition.
#[derive(Clone, Debug)]
pub struct Identity<E> {
    pub sides: Vec<[E; 2]>,
}

/// Both sides of vanishing(ζ) = Z_H(ζ) · quotient(ζ). `inverse` is that of n (ζ − 1).
pub fn identity<A: Algebra>(
    algebra: &mut A,
    common: &LastCommon,
    openings: &Openings<A::E>,
    challenges: &Challenges<A::E>,
    public_inputs_hash: &[A::E; 4],
    inverse: impl FnOnce(&mut A, &A::E) -> A::E,
) -> Result<Identity<A::E>, UnknownGate> {
    assert_eq!(common.num_lookup_polys, 0, "the last layer has no lookups");
    let mut power = challenges.zeta.clone();
    for _ in 0..common.degree_bits() {
        power = algebra.mul(&power, &power);
        power = algebra.settle(&power);
    }
    let one = algebra.constant(F::ONE);
    let zero_poly = algebra.sub(&power, &one);
    let zero_poly = algebra.settle(&zero_poly);
    let degree = F::from_canonical_usize(common.degree());
    let denominator = algebra.sub(&challenges.zeta, &one);
    let denominator = algebra.combine(&[(degree, denominator)]);
    let inverse = inverse(algebra, &denominator);
    let first_row = algebra.mul(&zero_poly, &inverse);
    let first_row = algebra.settle(&first_row);

    let mut terms: Vec<A::E> = Vec::new();
    for z in &openings.zs {
        let difference = algebra.sub(z, &one);
        terms.push(algebra.mul(&first_row, &difference));
    }
    for i in 0..common.config.num_challenges {
        terms.extend(permutation(algebra, common, openings, challenges, i));
    }
    terms.extend(gate_constraints(
        algebra,
        common,
        openings,
        public_inputs_hash,
    )?);

    let terms: Vec<A::E> = terms.iter().map(|term| algebra.settle(term)).collect();
    let chunks = openings.quotients.chunks(common.quotient_degree_factor);
    let sides = challenges.alphas.iter().zip(chunks).map(|(alpha, chunk)| {
        let left = algebra.evaluate(&terms, alpha);
        let quotient = algebra.evaluate(chunk, &power);
        [left, algebra.mul(&zero_poly, &quotient)]
    });
    Ok(Identity {
        sides: sides.collect(),
    })
}

/// The i-th running product: each partial product follows from the one before.
fn permutation<A: Algebra>(
    algebra: &mut A,
    common: &LastCommon,
    openings: &Openings<A::E>,
    challenges: &Challenges<A::E>,
    i: usize,
) -> Vec<A::E> {
    let count = common.num_partial_products;
    let (beta, gamma) = (&challenges.betas[i], &challenges.gammas[i]);
    let routed = common.config.num_routed_wires;
    let wires = &openings.wires[..routed];
    let shifted: Vec<A::E> = wires.iter().map(|wire| algebra.add(wire, gamma)).collect();
    let beta_zeta = algebra.mul(beta, &challenges.zeta);
    let beta_zeta = algebra.settle(&beta_zeta);
    let mut factors = |own: bool| -> Vec<A::E> {
        let factor = |j: usize| {
            let term = match own {
                true => algebra.combine(&[(common.k_is[j], beta_zeta.clone())]),
                false => algebra.mul(beta, &openings.sigmas[j]),
            };
            algebra.add(&shifted[j], &term)
        };
        (0..routed).map(factor).collect()
    };
    let (numerators, denominators) = (factors(true), factors(false));
    let mut accumulators = vec![openings.zs[i].clone()];
    accumulators.extend_from_slice(&openings.partial_products[i * count..(i + 1) * count]);
    accumulators.push(openings.zs_next[i].clone());
    let size = common.quotient_degree_factor;
    numerators
        .chunks(size)
        .zip(denominators.chunks(size))
        .zip(accumulators.windows(2))
        .map(|((numerator, denominator), pair)| {
            let numerator = algebra.product(numerator);
            let denominator = algebra.product(denominator);
            let left = algebra.mul(&pair[0], &numerator);
            let right = algebra.mul(&pair[1], &denominator);
            algebra.sub(&left, &right)
        })
        .collect()
}

/// Each constraint's sum over the gates, filtered.
fn gate_constraints<A: Algebra>(
    algebra: &mut A,
    common: &LastCommon,
    openings: &Openings<A::E>,
    public_inputs_hash: &[A::E; 4],
) -> Result<Vec<A::E>, UnknownGate> {
    let selectors = Selectors::of(common);
    let row = Row {
        constants: &openings.constants[selectors.groups.len()..],
        wires: &openings.wires,
        public_inputs_hash,
    };
    let mut terms = vec![Vec::new(); common.num_gate_constraints];
    for (i, gate) in common.gates.iter().enumerate() {
        let constraints = evaluate(algebra, gate, &row)?;
        let filter = selectors.filter(algebra, i, &openings.constants);
        for (terms, constraint) in terms.iter_mut().zip(constraints) {
            terms.push((filter.clone(), constraint));
        }
    }
    Ok(terms.iter().map(|terms| algebra.dot(terms)).collect())
}
