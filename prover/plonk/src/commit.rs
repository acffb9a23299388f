//! Commitments to polynomials: the seam where an accelerator would go.
//!
//! An `Engine` takes columns, extends them, hashes the extension into a tree and keeps both; the
//! prover reads back what it needs through `Oracle`. `Cpu` is the engine; the circuit's constants
//! come committed by stock Plonky2, and `Preprocessed` reads those.

use plonky2::field::types::Field;
use plonky2::fri::oracle::PolynomialBatch;
use plonky2::hash::merkle_proofs::MerkleProof;
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::plonk::config::{GenericConfig, Hasher};
use rayon::prelude::*;
use tally_kernels::raw::{raw, raw_mut};
use tally_kernels::simd::{Kernel, MAX_WIDTH, Op, Simd};

use crate::fft::{Extension, Roots, canonical, reordered};
use crate::hashing::Hashing;
use crate::pool;
use crate::tree::{Domain, Tree};
use crate::{D, Ext, F, ext};

/// Columns of `rows` elements each, one after the other.
#[derive(Debug)]
pub(crate) enum Columns {
    /// Values on the subgroup, in its order.
    Values(Vec<F>),
    /// Coefficients, the bits of their indices reversed.
    Coefficients(Vec<F>),
}

/// Commits to columns.
pub(crate) trait Engine<H: Hasher<F>> {
    type Commitment: Oracle<H>;

    fn commit(&self, columns: Columns) -> Self::Commitment;
}

/// What a prover reads of a commitment.
pub(crate) trait Oracle<H: Hasher<F>>: Sync {
    /// Values of every polynomial at a point, given the point's powers.
    fn evaluate(&self, powers: &Powers) -> Vec<Ext>;

    /// Adds the polynomials' coefficients, polynomial i times weight i, for the first ones that
    /// have a weight.
    fn combine(&self, weights: &[Ext], sum: &mut Combination);

    /// A leaf's elements and the way to the cap.
    fn open(&self, leaf: usize) -> (Vec<F>, MerkleProof<F, H>);
}

/// Powers of a point, for coefficients in both orders; the halves are the coordinates.
#[derive(Debug)]
pub(crate) struct Powers {
    natural: [Vec<F>; D],
    reversed: [Vec<F>; D],
}

impl Powers {
    pub(crate) fn new(point: Ext, count: usize) -> Self {
        let mut natural = [Vec::with_capacity(count), Vec::with_capacity(count)];
        for power in point.powers().take(count) {
            natural[0].push(power.0[0]);
            natural[1].push(power.0[1]);
        }
        let reversed = [reordered(&natural[0]), reordered(&natural[1])];
        Self { natural, reversed }
    }
}

/// A sum of polynomials, its terms kept by their order of coefficients.
#[derive(Debug)]
pub(crate) struct Combination {
    natural: [Vec<F>; D],
    reversed: [Vec<F>; D],
}

impl Combination {
    pub(crate) fn new(rows: usize) -> Self {
        let zeros = || [vec![F::ZERO; rows], vec![F::ZERO; rows]];
        Self {
            natural: zeros(),
            reversed: zeros(),
        }
    }

    /// Coefficients in their natural order.
    pub(crate) fn into_coefficients(self) -> Vec<Ext> {
        let reversed = self.reversed.map(|half| reordered(&half));
        let coordinates =
            |i: usize| ext([0, 1].map(|half: usize| self.natural[half][i] + reversed[half][i]));
        (0..self.natural[0].len()).map(coordinates).collect()
    }
}

/// Commits on the processor.
#[derive(Debug)]
pub(crate) struct Cpu<'a, T> {
    pub kernel: Kernel,
    pub hashing: T,
    pub roots: &'a Roots,
    pub extension: &'a Extension,
    pub cap_height: usize,
}

impl<H: Hasher<F>, T: Hashing<H>> Engine<H> for Cpu<'_, T> {
    type Commitment = Batch<H>;

    fn commit(&self, columns: Columns) -> Batch<H> {
        let domain = self.extension.domain();
        let (mut coefficients, interpolate) = match columns {
            Columns::Values(values) => (values, true),
            Columns::Coefficients(coefficients) => (coefficients, false),
        };
        let count = coefficients.len() >> domain.block_bits;
        let mut values = pool::buffer(domain, count << domain.bits());
        coefficients
            .par_chunks_mut(domain.block())
            .zip(values.par_chunks_mut(domain.points()))
            .for_each(|(coefficients, values)| {
                if interpolate {
                    self.roots.interpolate(self.kernel, coefficients);
                }
                self.extension
                    .extend(self.kernel, self.roots, coefficients, values);
            });
        let columns = |place: usize, length: usize| {
            values
                .chunks_exact(domain.points())
                .map(|column| &column[place..place + length])
                .collect()
        };
        let tree = Tree::new(self.hashing, domain, self.cap_height, columns);
        Batch {
            kernel: self.kernel,
            domain,
            coefficients,
            values,
            tree,
        }
    }
}

/// Polynomials with their extension and its tree.
#[derive(Debug)]
pub(crate) struct Batch<H: Hasher<F>> {
    kernel: Kernel,
    domain: Domain,
    coefficients: Vec<F>,
    /// Of each polynomial, by place.
    values: Vec<F>,
    tree: Tree<H>,
}

impl<H: Hasher<F>> Drop for Batch<H> {
    fn drop(&mut self) {
        pool::leave(self.domain, &mut self.values);
    }
}

impl<H: Hasher<F>> Batch<H> {
    pub(crate) fn cap(&self) -> MerkleCap<F, H> {
        self.tree.cap()
    }

    /// Every polynomial's values, by place.
    pub(crate) fn columns(&self) -> impl ExactSizeIterator<Item = &[F]> {
        self.values.chunks_exact(self.domain.points())
    }
}

impl<H: Hasher<F>> Oracle<H> for Batch<H> {
    fn evaluate(&self, powers: &Powers) -> Vec<Ext> {
        let polynomials = self.coefficients.par_chunks(self.domain.block());
        polynomials
            .map(|coefficients| dot(self.kernel, coefficients, &powers.reversed))
            .collect()
    }

    fn combine(&self, weights: &[Ext], sum: &mut Combination) {
        let polynomials = self
            .coefficients
            .chunks(self.domain.block())
            .collect::<Vec<_>>();
        add_weighted(self.kernel, &polynomials, weights, &mut sum.reversed);
    }

    fn open(&self, leaf: usize) -> (Vec<F>, MerkleProof<F, H>) {
        let place = self.domain.place(self.domain.point(leaf));
        (
            self.columns().map(|column| column[place]).collect(),
            self.tree.prove(leaf),
        )
    }
}

/// The circuit's own polynomials, as Plonky2 committed to them.
pub(crate) struct Preprocessed<'a, C: GenericConfig<D, F = F>> {
    pub kernel: Kernel,
    pub batch: &'a PolynomialBatch<F, C, D>,
}

impl<C: GenericConfig<D, F = F>> Oracle<C::Hasher> for Preprocessed<'_, C> {
    fn evaluate(&self, powers: &Powers) -> Vec<Ext> {
        let polynomials = self.batch.polynomials.par_iter();
        polynomials
            .map(|p| dot(self.kernel, &p.coeffs, &powers.natural))
            .collect()
    }

    fn combine(&self, weights: &[Ext], sum: &mut Combination) {
        let polynomials = self.batch.polynomials.iter().map(|p| &p.coeffs[..]);
        add_weighted(
            self.kernel,
            &polynomials.collect::<Vec<_>>(),
            weights,
            &mut sum.natural,
        );
    }

    fn open(&self, leaf: usize) -> (Vec<F>, MerkleProof<F, C::Hasher>) {
        let tree = &self.batch.merkle_tree;
        (tree.get(leaf).to_vec(), tree.prove(leaf))
    }
}

fn dot(kernel: Kernel, coefficients: &[F], powers: &[Vec<F>; D]) -> Ext {
    let [low, high] = [0, 1].map(|half: usize| {
        kernel.apply(Dot {
            a: raw(coefficients),
            b: raw(&powers[half]),
        })
    });
    ext([low, high])
}

struct Dot<'a> {
    a: &'a [u64],
    b: &'a [u64],
}

impl Op for Dot<'_> {
    type Output = F;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> F {
        let (a, b) = (self.a.chunks_exact(S::WIDTH), self.b.chunks_exact(S::WIDTH));
        let rest = a.remainder().iter().zip(b.remainder());
        let element = F::from_noncanonical_u64;
        let rest: F = rest.map(|(a, b)| element(*a) * element(*b)).sum();
        let mut sum = s.splat(0);
        for (a, b) in a.zip(b) {
            sum = s.add_mod(s.mul(s.load(a), s.load(b)), sum);
        }
        let mut lanes = [0; MAX_WIDTH];
        s.store(sum, &mut lanes);
        lanes[..S::WIDTH]
            .iter()
            .map(|lane| element(*lane))
            .sum::<F>()
            + rest
    }
}

/// Elements of a sum that one task makes.
const TERMS: usize = 1 << 10;

fn add_weighted(kernel: Kernel, polynomials: &[&[F]], weights: &[Ext], sum: &mut [Vec<F>; D]) {
    let [low, high] = sum;
    for (half, sum) in [low, high].into_iter().enumerate() {
        sum.par_chunks_mut(TERMS).enumerate().for_each(|(i, sum)| {
            for (polynomial, weight) in polynomials.iter().zip(weights) {
                let terms = &polynomial[i * TERMS..i * TERMS + sum.len()];
                let factor = canonical(weight.0[half]).0;
                kernel.apply(AddScaled {
                    sum: raw_mut(sum),
                    terms: raw(terms),
                    factor,
                });
            }
        });
    }
}

struct AddScaled<'a> {
    sum: &'a mut [u64],
    terms: &'a [u64],
    factor: u64,
}

impl Op for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let factor = s.splat(self.factor);
        let mut sums = self.sum.chunks_exact_mut(S::WIDTH);
        let terms = self.terms.chunks_exact(S::WIDTH);
        let rest = terms.remainder();
        for (sum, terms) in (&mut sums).zip(terms) {
            s.store(s.add_mod(s.mul(s.load(terms), factor), s.load(sum)), sum);
        }
        let element = F::from_noncanonical_u64;
        for (sum, term) in sums.into_remainder().iter_mut().zip(rest) {
            *sum = (element(*sum) + element(*term) * element(self.factor)).0;
        }
    }
}
