//! Poseidon's permutation in one column: 122 cells, two kinds of steps.
//!
//! *Statement.* The last three of the cells are the 65 rounds' result on the first three.
//! *Steps.* A full round leads from three cells to the next three. Three partial rounds lead from
//! (a, b, c, a', a'') to the next three: a, a', a'' go through the S-box, and b and c stay what
//! follows from them, which is linear.
//! *Constants.* Three for each step, in a fixed column beside its first rows, one for each S-box.
//! What the partial rounds add to b and c is moved past the matrix, to where an S-box reads it.
//! *Degree 6.* The S-box is computed in place, times a selector.

use std::sync::OnceLock;

use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::Expression;

use crate::poseidon::{FULL_ROUNDS, PARTIAL_ROUNDS, Spec, State, WIDTH, to_halo};

/// Partial rounds in a step: 57 is 19 times 3.
const STEP_ROUNDS: usize = 3;
/// Cells of a step of partial rounds.
const PARTIAL_CELLS: usize = WIDTH + STEP_ROUNDS - 1;
const PARTIAL_STEPS: usize = PARTIAL_ROUNDS / STEP_ROUNDS;
const HALF: usize = FULL_ROUNDS / 2;
/// Where the partial rounds begin, and the full rounds after them.
const PARTIAL_START: usize = HALF * WIDTH;
const PARTIAL_END: usize = PARTIAL_START + PARTIAL_STEPS * PARTIAL_CELLS;
/// Cells of one permutation.
pub const ROWS: usize = PARTIAL_END + HALF * WIDTH + WIDTH;

const _: () = assert!(PARTIAL_STEPS * STEP_ROUNDS == PARTIAL_ROUNDS);

pub type Trace = [ark_bn254::Fr; ROWS];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Full,
    Partial,
}

/// Cells of a step, before the three that it leads to.
pub const fn length(step: Step) -> usize {
    match step {
        Step::Full => WIDTH,
        Step::Partial => PARTIAL_CELLS,
    }
}

/// The step that begins at this cell.
pub fn step(row: usize) -> Option<Step> {
    match row {
        _ if row < PARTIAL_START => row.is_multiple_of(WIDTH).then_some(Step::Full),
        _ if row < PARTIAL_END => {
            let is_first = (row - PARTIAL_START).is_multiple_of(PARTIAL_CELLS);
            is_first.then_some(Step::Partial)
        }
        _ if row + WIDTH < ROWS => {
            let is_first = (row - PARTIAL_END).is_multiple_of(WIDTH);
            is_first.then_some(Step::Full)
        }
        _ => None,
    }
}

/// The cells that go through the S-box; the i-th has its constant beside the step's i-th cell.
const fn boxed(step: Step) -> [usize; WIDTH] {
    match step {
        Step::Full => [0, 1, 2],
        Step::Partial => [0, 3, 4],
    }
}

/// What the fixed column holds beside each cell.
pub fn constants() -> &'static Trace {
    static CONSTANTS: OnceLock<Trace> = OnceLock::new();
    CONSTANTS.get_or_init(|| {
        let spec = Spec::get();
        let mut all = [0.into(); ROWS];
        // What the state still lacks.
        let mut late: State = [0.into(); WIDTH];
        let mut rounds = spec.constants.iter();
        let mut next = |late: &State| {
            let round = rounds.next().expect("a round for each step");
            [0, 1, 2].map(|i| round[i] + late[i])
        };
        for row in 0..ROWS {
            match step(row) {
                None => (),
                Some(Step::Full) => {
                    all[row..row + WIDTH].copy_from_slice(&next(&late));
                    late = [0.into(); WIDTH];
                }
                Some(Step::Partial) => {
                    for i in 0..STEP_ROUNDS {
                        let [first, b, c] = next(&late);
                        all[row + i] = first;
                        late = product(&spec.matrix, &[0.into(), b, c]);
                    }
                }
            }
        }
        all
    })
}

fn product(matrix: &[State; WIDTH], x: &State) -> State {
    matrix.map(|row| row[0] * x[0] + row[1] * x[1] + row[2] * x[2])
}

fn fifth_power(x: ark_bn254::Fr) -> ark_bn254::Fr {
    let square = x * x;
    square * square * x
}

/// All cells of one permutation; `lie` adds to a cell, for tests, and the rest follows from that.
pub fn trace(input: &State, lie: impl Fn(usize) -> ark_bn254::Fr) -> Trace {
    let (matrix, constants) = (&Spec::get().matrix, constants());
    let mut cells = [0.into(); ROWS];
    for (row, x) in input.iter().enumerate() {
        cells[row] = *x + lie(row);
    }
    for row in 0..ROWS {
        let Some(step) = step(row) else { continue };
        let mut state = [cells[row], cells[row + 1], cells[row + 2]];
        let constants = &constants[row..row + WIDTH];
        match step {
            Step::Full => {
                let read = [0, 1, 2].map(|i| state[i] + constants[i]);
                state = product(matrix, &read.map(fifth_power));
            }
            Step::Partial => {
                for (i, constant) in constants.iter().enumerate() {
                    if i > 0 {
                        let cell = row + boxed(step)[i];
                        state[0] += lie(cell);
                        cells[cell] = state[0];
                    }
                    state[0] = fifth_power(state[0] + constant);
                    state = product(matrix, &state);
                }
            }
        }
        let next = row + length(step);
        for (i, x) in state.iter().enumerate() {
            cells[next + i] = *x + lie(next + i);
        }
    }
    cells
}

/// The constraints of a step over its cells and the next three, and the three constants.
pub fn constraints(
    step: Step,
    cells: &[Expression<Fr>],
    constants: &[Expression<Fr>],
) -> Vec<Expression<Fr>> {
    let inputs: Vec<Expression<Fr>> = cells[..cells.len() - WIDTH]
        .iter()
        .enumerate()
        .map(
            |(i, cell)| match boxed(step).iter().position(|at| *at == i) {
                None => cell.clone(),
                Some(place) => {
                    let x = cell.clone() + constants[place].clone();
                    let square = x.clone() * x.clone();
                    square.clone() * square * x
                }
            },
        )
        .collect();
    let outputs = outputs(step).into_iter().zip(WIDTH..);
    outputs
        .map(|(coefficients, i)| {
            let terms = coefficients.iter().zip(&inputs);
            let terms = terms.map(|(c, input)| input.clone() * to_halo(*c));
            let sum = terms.reduce(|sum, term| sum + term);
            sum.expect("an output has terms") - cells[i].clone()
        })
        .collect()
}

/// Each cell after the first three, in order, as a combination of what is read.
fn outputs(step: Step) -> Vec<Vec<ark_bn254::Fr>> {
    let matrix = &Spec::get().matrix;
    if step == Step::Full {
        return matrix.iter().map(|row| row.to_vec()).collect();
    }
    let unit = |i: usize| -> Vec<ark_bn254::Fr> {
        let at = |j| u64::from(i == j).into();
        (0..PARTIAL_CELLS).map(at).collect()
    };
    let mut state = [0, 1, 2].map(unit);
    let mut outputs = Vec::new();
    for cell in WIDTH..=PARTIAL_CELLS {
        state = matrix.map(|row| {
            let sum = |j: usize| (0..WIDTH).map(|i| row[i] * state[i][j]).sum();
            (0..PARTIAL_CELLS).map(sum).collect()
        });
        if cell < PARTIAL_CELLS {
            // Only what is read so far has a coefficient.
            outputs.push(state[0][..cell].to_vec());
            state[0] = unit(cell);
        }
    }
    outputs.extend(state);
    outputs
}

/// What the cells that follow from others should be.
#[cfg(test)]
pub fn expected(cells: &Trace) -> Vec<(usize, ark_bn254::Fr)> {
    let starts = (0..ROWS).filter_map(|row| Some((row, step(row)?)));
    let follow = |(row, step): (usize, Step)| {
        let inputs: Vec<ark_bn254::Fr> = (0..length(step))
            .map(|i| match boxed(step).iter().position(|at| *at == i) {
                None => cells[row + i],
                Some(place) => fifth_power(cells[row + i] + constants()[row + place]),
            })
            .collect();
        let outputs = outputs(step).into_iter().enumerate();
        outputs
            .map(|(i, coefficients)| {
                let terms = coefficients.iter().zip(&inputs);
                (row + WIDTH + i, terms.map(|(c, x)| *c * x).sum())
            })
            .collect::<Vec<_>>()
    };
    starts.flat_map(follow).collect()
}

#[cfg(test)]
mod tests {
    use ark_ff::UniformRand;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_trace_ends_with_the_permutation() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for _ in 0..5 {
            let input: State = [(); WIDTH].map(|()| ark_bn254::Fr::rand(&mut rng));
            let expected = Spec::get().permute(&input);
            assert_eq!(trace(&input, |_| 0.into())[ROWS - WIDTH..], expected);
        }
    }

    #[test]
    fn steps_follow_each_other() {
        let mut row = 0;
        let mut count = [0; 2];
        while let Some(step) = step(row) {
            count[usize::from(step == Step::Partial)] += 1;
            row += length(step);
        }
        assert_eq!((row, count), (ROWS - WIDTH, [FULL_ROUNDS, PARTIAL_STEPS]));
        assert_eq!(ROWS, 122);
    }
}
