//! The constraints of Plonky2's Poseidon gate, as many points side by side as there are lanes.
//!
//! Stock evaluates them point by point, and for hashing circuits they cost more than all other
//! gates. The gate's wires hold every S-box's input but the first round's; each constraint compares
//! one with what the permutation makes of the wires before. S-boxes apart the rounds are linear, so
//! `poseidon`'s way through them leads to the same polynomials as the gate's own.

use tally_kernels::poseidon::{CONSTANTS, STATE, full_round, partial_rounds};
use tally_kernels::simd::{Op, Simd};

// Wires: inputs, outputs, swap, four deltas, then S-box inputs by round.
const OUTPUTS: usize = STATE;
const SWAP: usize = 2 * STATE;
const DELTAS: usize = SWAP + 1;
const SWAPPED: usize = 4;
const FULL_FIRST: usize = DELTAS + SWAPPED;
/// Full rounds on either side of the partial ones.
const FULL: usize = 4;
const PARTIAL: usize = 22;
const PARTIAL_FIRST: usize = FULL_FIRST + (FULL - 1) * STATE;
const FULL_LAST: usize = PARTIAL_FIRST + PARTIAL;

/// Evaluates at `points` points, a multiple of every width; columns of so many values each.
pub(crate) struct PoseidonConstraints<'a> {
    pub points: usize,
    pub wires: &'a [u64],
    pub constraints: &'a mut [u64],
}

impl Op for PoseidonConstraints<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for at in (0..self.points).step_by(S::WIDTH) {
            self.evaluate(s, at);
        }
    }
}

impl PoseidonConstraints<'_> {
    #[inline(always)]
    fn evaluate<S: Simd>(&mut self, s: S, at: usize) {
        let swap = self.wire(s, at, SWAP);
        self.put(s, at, 0, s.mul(swap, s.sub_once(swap, s.splat(1))));
        let mut state = [swap; STATE];
        for (i, element) in state.iter_mut().enumerate() {
            *element = self.wire(s, at, i);
        }
        for i in 0..SWAPPED {
            let delta = self.wire(s, at, DELTAS + i);
            let (left, right) = (state[i], state[i + SWAPPED]);
            let moved = s.mul(swap, s.sub_mod(right, left));
            self.put(s, at, 1 + i, s.sub_mod(moved, delta));
            state[i] = s.add_mod(left, delta);
            state[i + SWAPPED] = s.sub_mod(right, delta);
        }
        for (element, constant) in state.iter_mut().zip(CONSTANTS[0]) {
            *element = s.add_once(*element, s.splat(constant));
        }
        let mut next = 1 + SWAPPED;
        full_round(s, &mut state, &CONSTANTS[1]);
        for round in 1..FULL {
            next = self.replace(s, at, next, FULL_FIRST + (round - 1) * STATE, &mut state);
            full_round(s, &mut state, &CONSTANTS[round + 1]);
        }
        for round in 0..PARTIAL {
            let input = self.wire(s, at, PARTIAL_FIRST + round);
            self.put(s, at, next, s.sub_mod(state[0], input));
            next += 1;
            state[0] = input;
            partial_rounds::<S, 1, 1>(s, std::array::from_mut(&mut state), FULL + 1 + round);
        }
        for round in 0..FULL {
            next = self.replace(s, at, next, FULL_LAST + round * STATE, &mut state);
            let constants = CONSTANTS.get(FULL + PARTIAL + round + 1);
            full_round(s, &mut state, constants.unwrap_or(&[0; STATE]));
        }
        self.replace(s, at, next, OUTPUTS, &mut state);
    }

    #[inline(always)]
    fn wire<S: Simd>(&self, s: S, at: usize, wire: usize) -> S::V {
        s.load(&self.wires[wire * self.points + at..])
    }

    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, at: usize, constraint: usize, value: S::V) {
        s.store(
            value,
            &mut self.constraints[constraint * self.points + at..],
        );
    }

    /// Compares the state with wires and goes on from these; the constraint after the last.
    #[inline(always)]
    fn replace<S: Simd>(
        &mut self,
        s: S,
        at: usize,
        first: usize,
        wire: usize,
        state: &mut [S::V; STATE],
    ) -> usize {
        for (i, element) in state.iter_mut().enumerate() {
            let input = self.wire(s, at, wire + i);
            self.put(s, at, first + i, s.sub_mod(*element, input));
            *element = input;
        }
        first + STATE
    }
}
