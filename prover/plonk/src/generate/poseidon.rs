//! The rows of Plonky2's Poseidon gates, filled side by side.

use plonky2::field::types::PrimeField64;
use plonky2::iop::generator::WitnessGeneratorRef;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartitionWitness, Witness};
use tally_kernels::poseidon::STATE;
use tally_kernels::simd::{Kernel, MAX_WIDTH, Op, Simd};

use crate::gate_poseidon::{DELTAS, OUTPUTS, SWAP, SWAPPED, Wires, permute};
use crate::{D, F};

pub(super) use crate::gate_poseidon::WIRES;

/// Rows filled at once.
pub(super) const ROWS: usize = MAX_WIDTH;

/// The wires of so many rows.
pub(super) type Filled = [[u64; ROWS]; WIRES];

/// Of each generator, the row that it fills if it is a Poseidon gate's.
pub(super) fn rows(generators: &[WitnessGeneratorRef<F, D>]) -> Vec<Option<u32>> {
    generators.iter().map(row).collect()
}

fn row(generator: &WitnessGeneratorRef<F, D>) -> Option<u32> {
    if generator.0.id() != "PoseidonGenerator" {
        return None;
    }
    let watched = generator.0.watch_list();
    let Some(Target::Wire(first)) = watched.first() else {
        return None;
    };
    // Whatever else has that name watches something else.
    let inputs = read().map(|wire| Target::wire(first.row, wire));
    watched
        .iter()
        .copied()
        .eq(inputs)
        .then_some(first.row as u32)
}

/// Wires that the generator reads.
fn read() -> impl Iterator<Item = usize> {
    (0..STATE).chain([SWAP])
}

/// Wires that it sets.
pub(super) fn made() -> impl Iterator<Item = usize> {
    (OUTPUTS..SWAP).chain(DELTAS..WIRES)
}

/// Fills at most `ROWS` rows, from the witness' values of what they read.
pub(super) fn fill(
    kernel: Kernel,
    witness: &PartitionWitness<F>,
    rows: &[u32],
    wires: &mut Filled,
) {
    for (lane, row) in rows.iter().enumerate() {
        for wire in read() {
            let value = witness.get_target(Target::wire(*row as usize, wire));
            wires[wire][lane] = value.to_canonical_u64();
        }
    }
    let rows = rows.len();
    kernel.apply(Fill { rows, wires });
}

struct Fill<'a> {
    rows: usize,
    wires: &'a mut Filled,
}

impl Op for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for at in (0..self.rows).step_by(S::WIDTH) {
            let swap = s.load(&self.wires[SWAP][at..]);
            let mut state = [swap; STATE];
            for (element, wire) in state.iter_mut().zip(&self.wires[..STATE]) {
                *element = s.load(&wire[at..]);
            }
            for i in 0..SWAPPED {
                let (left, right) = (state[i], state[i + SWAPPED]);
                // The difference or zero, which swaps or does not. Where the swap is no bit stock
                // leaves the halves alone; the gate's constraints refuse both.
                let delta = s.canonical(s.mul(swap, s.sub_mod(right, left)));
                s.store(delta, &mut self.wires[DELTAS + i][at..]);
                state[i] = s.add_once(left, delta);
                state[i + SWAPPED] = s.sub_once(right, delta);
            }
            let wires = &mut *self.wires;
            permute(s, &mut state, &mut Store { at, wires });
        }
    }
}

/// Writes the permutation's values down.
struct Store<'a> {
    at: usize,
    wires: &'a mut Filled,
}

impl<S: Simd> Wires<S> for Store<'_> {
    #[inline(always)]
    fn pass(&mut self, s: S, wire: usize, value: &mut S::V) {
        s.store(s.canonical(*value), &mut self.wires[wire][self.at..]);
    }
}
