//! The last step at each point: all terms, weighted and divided by Z_H.

use tally_kernels::simd::{Op, Simd};

use super::POINTS;

/// Adds all terms but the gates', which are there already, weighted by powers of each challenge,
/// and divides by Z_H.
pub(super) struct Combine<'a> {
    pub degree: usize,
    pub routed: usize,
    pub challenges: usize,
    pub constants: usize,
    pub shifts: &'a [u64],
    pub betas: &'a [u64],
    pub gammas: &'a [u64],
    pub powers: &'a [Vec<u64>],
    pub points: &'a [u64],
    pub lagrange: &'a [u64],
    pub constants_sigmas: &'a [u64],
    pub wires: &'a [u64],
    pub products: &'a [u64],
    pub next: &'a [u64],
    /// 1 / Z_H.
    pub divisor: u64,
    pub sums: &'a mut [u64],
}

impl Op for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for at in (0..POINTS).step_by(S::WIDTH) {
            let mut term = 0;
            for challenge in 0..self.challenges {
                let z = s.load(&self.products[challenge * POINTS + at..]);
                let one = s.sub_once(z, s.splat(1));
                let value = s.mul(one, s.load(&self.lagrange[at..]));
                self.add(s, at, term, value);
                term += 1;
            }
            for challenge in 0..self.challenges {
                term = self.chunks(s, at, term, challenge);
            }
            for sum in self.sums.chunks_exact_mut(POINTS) {
                s.store(
                    s.mul(s.load(&sum[at..]), s.splat(self.divisor)),
                    &mut sum[at..],
                );
            }
        }
    }
}

impl Combine<'_> {
    #[inline(always)]
    fn add<S: Simd>(&mut self, s: S, at: usize, term: usize, value: S::V) {
        for (sum, powers) in self.sums.chunks_exact_mut(POINTS).zip(self.powers) {
            let weighted = s.mul(value, s.splat(powers[term]));
            s.store(s.add_mod(s.load(&sum[at..]), weighted), &mut sum[at..]);
        }
    }

    /// The checks that each running product follows from the one before.
    #[inline(always)]
    fn chunks<S: Simd>(&mut self, s: S, at: usize, term: usize, challenge: usize) -> usize {
        let (beta, gamma) = (
            s.splat(self.betas[challenge]),
            s.splat(self.gammas[challenge]),
        );
        let shifts = &self.shifts[challenge * self.routed..][..self.routed];
        let count = self.routed.div_ceil(self.degree);
        let point = s.load(&self.points[at..]);
        let mut before = s.load(&self.products[challenge * POINTS + at..]);
        for (chunk, shifts) in shifts.chunks(self.degree).enumerate() {
            let (mut numerator, mut denominator) = (s.splat(1), s.splat(1));
            for (i, shift) in shifts.iter().enumerate() {
                let wire = chunk * self.degree + i;
                let value = s.add_once(s.load(&self.wires[wire * POINTS + at..]), gamma);
                let sigma = s.load(&self.constants_sigmas[(self.constants + wire) * POINTS + at..]);
                let identity = s.mul(point, s.splat(*shift));
                numerator = s.mul(numerator, s.add_mod(value, identity));
                denominator = s.mul(denominator, s.add_mod(value, s.mul(sigma, beta)));
            }
            let after = if chunk + 1 < count {
                let partial = self.challenges + challenge * (count - 1) + chunk;
                s.load(&self.products[partial * POINTS + at..])
            } else {
                s.load(&self.next[challenge * POINTS + at..])
            };
            let check = s.sub_mod(s.mul(before, numerator), s.mul(after, denominator));
            self.add(s, at, term + chunk, check);
            before = after;
        }
        term + count
    }
}
