//! Plonky2's Poseidon gate: where its wires are, and its constraints, as many points side by side
//! as there are lanes.
//!
//! Stock evaluates them point by point, and for hashing circuits they cost more than all other
//! gates. The gate's wires hold every S-box's input but the first round's; each constraint compares
//! one with what the permutation makes of the wires before. S-boxes apart the rounds are linear, so
//! `poseidon`'s way through them leads to the same polynomials as the gate's own.

use tally_kernels::poseidon::{CONSTANTS, STATE, full_round, partial_rounds};
use tally_kernels::simd::{Op, Simd};

// Wires: inputs, outputs, swap, four deltas, then S-box inputs by round.
pub(crate) const OUTPUTS: usize = STATE;
pub(crate) const SWAP: usize = 2 * STATE;
pub(crate) const DELTAS: usize = SWAP + 1;
pub(crate) const SWAPPED: usize = 4;
const FULL_FIRST: usize = DELTAS + SWAPPED;
/// Full rounds on either side of the partial ones.
const FULL: usize = 4;
const PARTIAL: usize = 22;
const PARTIAL_FIRST: usize = FULL_FIRST + (FULL - 1) * STATE;
const FULL_LAST: usize = PARTIAL_FIRST + PARTIAL;
/// How many there are.
pub(crate) const WIRES: usize = FULL_LAST + FULL * STATE;

/// The wires that hold what a permutation goes through.
pub(crate) trait Wires<S: Simd> {
    /// The permutation has come to a value that a wire holds; it goes on with what is left there.
    fn pass(&mut self, s: S, wire: usize, value: &mut S::V);
}

/// Permutes a state whose halves are swapped as they should be, passing each wire in the order of
/// the gate's constraints.
#[inline(always)]
pub(crate) fn permute<S: Simd, W: Wires<S>>(s: S, state: &mut [S::V; STATE], wires: &mut W) {
    for (element, constant) in state.iter_mut().zip(CONSTANTS[0]) {
        *element = s.add_once(*element, s.splat(constant));
    }
    full_round(s, state, &CONSTANTS[1]);
    for round in 1..FULL {
        pass_all(s, state, wires, FULL_FIRST + (round - 1) * STATE);
        full_round(s, state, &CONSTANTS[round + 1]);
    }
    for round in 0..PARTIAL {
        wires.pass(s, PARTIAL_FIRST + round, &mut state[0]);
        partial_rounds::<S, 1, 1>(s, std::array::from_mut(state), FULL + 1 + round);
    }
    for round in 0..FULL {
        pass_all(s, state, wires, FULL_LAST + round * STATE);
        let constants = CONSTANTS.get(FULL + PARTIAL + round + 1);
        full_round(s, state, constants.unwrap_or(&[0; STATE]));
    }
    pass_all(s, state, wires, OUTPUTS);
}

#[inline(always)]
fn pass_all<S: Simd, W: Wires<S>>(s: S, state: &mut [S::V; STATE], wires: &mut W, first: usize) {
    for (i, element) in state.iter_mut().enumerate() {
        wires.pass(s, first + i, element);
    }
}

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
        let next = 1 + SWAPPED;
        let gate = self;
        permute(s, &mut state, &mut Compare { gate, at, next });
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
}

/// Compares the permutation's values with the wires', and puts these in their place.
struct Compare<'a, 'b> {
    gate: &'a mut PoseidonConstraints<'b>,
    at: usize,
    next: usize,
}

impl<S: Simd> Wires<S> for Compare<'_, '_> {
    #[inline(always)]
    fn pass(&mut self, s: S, wire: usize, value: &mut S::V) {
        let input = self.gate.wire(s, self.at, wire);
        self.gate
            .put(s, self.at, self.next, s.sub_mod(*value, input));
        *value = input;
        self.next += 1;
    }
}
