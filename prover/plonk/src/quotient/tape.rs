//! A gate's constraints as a list of operations, done on all points of a task at a time.

use tally_kernels::simd::{MAX_WIDTH, Op, Simd};

use super::POINTS;
use super::symbol::{Node, Nodes};

/// A value at every point of a task.
pub(super) type Cell = [u64; POINTS];

/// Vectors that a cell has at most.
const VECTORS: usize = POINTS / 4;

const _: () = assert!(POINTS.is_multiple_of(MAX_WIDTH));

/// What a step does with the cell `a` and the cell or literal `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Sub,
    Mul,
    AddLiteral,
    SubLiteral,
    MulLiteral,
    /// b − a.
    FromLiteral,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    kind: Kind,
    a: u32,
    b: u32,
    to: u32,
}

/// Operations on cells: the gate's inputs first, then its constraints, then what is between.
#[derive(Debug)]
pub(super) struct Tape {
    steps: Vec<Step>,
    literals: Vec<u64>,
    inputs: usize,
    constraints: usize,
    cells: usize,
}

impl Tape {
    /// Of what a gate of so many inputs has written down, with the nodes of its constraints.
    pub(super) fn new(nodes: &Nodes, inputs: usize, constraints: &[usize]) -> Self {
        let mut tape = Self {
            steps: Vec::new(),
            literals: Vec::new(),
            inputs,
            constraints: constraints.len(),
            cells: inputs + constraints.len(),
        };
        let mut cells = tape.place(nodes, constraints);
        for (i, node) in constraints.iter().enumerate() {
            // A constraint that another is equal to, or an input, or a literal.
            let to = (inputs + i) as u32;
            match (nodes.list[*node], cells[*node]) {
                (_, Some(cell)) if cell == to => {}
                (Node::Literal(x), _) => {
                    let b = tape.literal(x);
                    // Whatever the cell, a product with 0 is 0.
                    let zero = tape.literal(0);
                    tape.push(Kind::MulLiteral, 0, zero, to);
                    tape.push(Kind::AddLiteral, to, b, to);
                }
                (_, Some(cell)) => {
                    let zero = tape.literal(0);
                    tape.push(Kind::AddLiteral, cell, zero, to);
                }
                (_, None) => unreachable!("every constraint has been placed"),
            }
            cells[*node] = cells[*node].or(Some(to));
        }
        tape
    }

    /// Makes the steps of all nodes that constraints depend on; where each is at the end, or was.
    fn place(&mut self, nodes: &Nodes, constraints: &[usize]) -> Vec<Option<u32>> {
        let last = last_uses(nodes, constraints);
        let mut cells: Vec<Option<u32>> = vec![None; nodes.list.len()];
        for (i, node) in constraints.iter().enumerate() {
            if matches!(
                nodes.list[*node],
                Node::Add(..) | Node::Sub(..) | Node::Mul(..)
            ) {
                cells[*node].get_or_insert((self.inputs + i) as u32);
            }
        }
        let kept: Vec<bool> = cells.iter().map(Option::is_some).collect();
        let mut free = Vec::new();
        for (i, node) in nodes.list.iter().enumerate() {
            let (a, b) = match *node {
                Node::Input(cell) => {
                    cells[i] = Some(cell as u32);
                    continue;
                }
                Node::Add(a, b) | Node::Sub(a, b) | Node::Mul(a, b) if last[i].is_some() => (a, b),
                _ => continue,
            };
            let to = cells[i].or_else(|| free.pop()).unwrap_or_else(|| {
                self.cells += 1;
                self.cells as u32 - 1
            });
            cells[i] = Some(to);
            self.step(nodes, *node, &cells, to);
            for (operand, other) in [(a, None), (b, Some(a))] {
                let done = last[operand] == Some(i) && other != Some(operand);
                let own = !kept[operand] && !matches!(nodes.list[operand], Node::Input(_));
                if let (true, true, Some(cell)) = (done, own, cells[operand]) {
                    free.push(cell);
                }
            }
        }
        cells
    }

    fn step(&mut self, nodes: &Nodes, node: Node, cells: &[Option<u32>], to: u32) {
        let (Node::Add(a, b) | Node::Sub(a, b) | Node::Mul(a, b)) = node else {
            return;
        };
        match (node, cells[a], cells[b], nodes.list[a], nodes.list[b]) {
            (Node::Add(..), Some(a), Some(b), ..) => self.push(Kind::Add, a, b, to),
            (Node::Sub(..), Some(a), Some(b), ..) => self.push(Kind::Sub, a, b, to),
            (Node::Mul(..), Some(a), Some(b), ..) => self.push(Kind::Mul, a, b, to),
            (Node::Add(..), Some(a), None, _, Node::Literal(x)) => {
                let b = self.literal(x);
                self.push(Kind::AddLiteral, a, b, to);
            }
            (Node::Sub(..), Some(a), None, _, Node::Literal(x)) => {
                let b = self.literal(x);
                self.push(Kind::SubLiteral, a, b, to);
            }
            (Node::Mul(..), Some(a), None, _, Node::Literal(x)) => {
                let b = self.literal(x);
                self.push(Kind::MulLiteral, a, b, to);
            }
            (Node::Sub(..), None, Some(b), Node::Literal(x), _) => {
                let literal = self.literal(x);
                self.push(Kind::FromLiteral, b, literal, to);
            }
            _ => unreachable!("operands come first, and literals second but in differences"),
        }
    }

    fn push(&mut self, kind: Kind, a: u32, b: u32, to: u32) {
        self.steps.push(Step { kind, a, b, to });
    }

    fn literal(&mut self, x: u64) -> u32 {
        let known = self.literals.iter().position(|literal| *literal == x);
        known.unwrap_or_else(|| {
            self.literals.push(x);
            self.literals.len() - 1
        }) as u32
    }

    /// Cells that it needs, inputs and constraints among them.
    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    /// The cells where the constraints are left.
    pub(super) fn constraints(&self) -> std::ops::Range<usize> {
        self.inputs..self.inputs + self.constraints
    }
}

/// The last node that each one is an operand of; itself for a constraint without any, none where no
/// constraint depends on it.
fn last_uses(nodes: &Nodes, constraints: &[usize]) -> Vec<Option<usize>> {
    let mut last = vec![None; nodes.list.len()];
    for node in constraints {
        last[*node] = Some(*node);
    }
    for (i, node) in nodes.list.iter().enumerate().rev() {
        if let (Node::Add(a, b) | Node::Sub(a, b) | Node::Mul(a, b), Some(_)) = (*node, last[i]) {
            for operand in [a, b] {
                last[operand] = last[operand].max(Some(i));
            }
        }
    }
    last
}

/// Does all steps.
pub(super) struct Play<'a> {
    pub tape: &'a Tape,
    /// At least as many as the tape needs, inputs filled in.
    pub cells: &'a mut [Cell],
}

impl Op for Play<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let count = POINTS / S::WIDTH;
        for step in &self.tape.steps {
            let a = &self.cells[step.a as usize];
            let mut out = [s.splat(0); VECTORS];
            match step.kind {
                Kind::Add | Kind::Sub | Kind::Mul => {
                    let b = &self.cells[step.b as usize];
                    for (i, out) in out.iter_mut().enumerate().take(count) {
                        let at = i * S::WIDTH;
                        let (a, b) = (s.load(&a[at..]), s.load(&b[at..]));
                        *out = match step.kind {
                            Kind::Add => s.add_mod(a, b),
                            Kind::Sub => s.sub_mod(a, b),
                            _ => s.mul(a, b),
                        };
                    }
                }
                _ => {
                    let b = s.splat(self.tape.literals[step.b as usize]);
                    for (i, out) in out.iter_mut().enumerate().take(count) {
                        let a = s.load(&a[i * S::WIDTH..]);
                        *out = match step.kind {
                            // Literals are canonical.
                            Kind::AddLiteral => s.add_once(a, b),
                            Kind::SubLiteral => s.sub_once(a, b),
                            Kind::FromLiteral => s.sub_mod(b, a),
                            _ => s.mul(a, b),
                        };
                    }
                }
            }
            let to = &mut self.cells[step.to as usize];
            for (i, out) in out.iter().enumerate().take(count) {
                s.store(*out, &mut to[i * S::WIDTH..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::packed::PackedField;
    use plonky2::field::types::{Field, Sample};

    use super::*;
    use crate::F;
    use crate::quotient::symbol::{Symbol, place, record};
    use tally_kernels::simd::Kernel;

    /// Every operation in either order, literals that fold, values used late, twice or never, and
    /// constraints that are inputs, literals or the same as others.
    fn sample<P: PackedField<Scalar = F>>(x: &[P]) -> Vec<P> {
        let (two, seven) = (F::TWO, F::from_canonical_u64(7));
        let mut unused = x[0] * x[1];
        unused += x[2];
        let early = x[3] - x[1] * seven;
        let mut sum = P::ZEROS;
        for i in 0..6 {
            let term = x[i % 4] * x[(i + 1) % 4] - two;
            sum = (sum + term) * term + (P::ONES * seven - x[i % 3]);
        }
        let same = x[1] * x[2];
        sum -= same;
        let zero = x[0] * F::ZERO;
        vec![
            sum,
            x[2] * x[1],
            same,
            x[3],
            zero,
            P::from(seven) - x[0],
            -early,
            zero + seven,
            sum * early + sum.doubles(),
            x[1] * x[1] * F::NEG_ONE + zero,
            x[0] - F::ZERO + P::ONES,
            P::from(seven) * x[0] + (P::from(two) - x[1]),
        ]
    }

    #[test]
    fn a_tape_computes_what_was_written_down() {
        let (nodes, outputs) = record(4, |symbols| {
            let symbols: Vec<Symbol> = symbols.iter().map(|x| *Symbol::from_slice(&[*x])).collect();
            sample(&symbols)
                .iter()
                .map(|symbol| place(symbol.as_slice()[0]))
                .collect::<Vec<_>>()
        });
        let tape = Tape::new(&nodes, 4, &outputs);
        for kernel in Kernel::all() {
            let points: Vec<Vec<F>> = (0..POINTS).map(|_| F::rand_vec(4)).collect();
            let mut cells = vec![[0; POINTS]; tape.cells()];
            for (i, cell) in cells.iter_mut().take(4).enumerate() {
                *cell = core::array::from_fn(|point| points[point][i].0);
            }
            let cells = &mut cells[..];
            kernel.apply(Play { tape: &tape, cells });
            for (point, x) in points.iter().enumerate() {
                let got = cells[tape.constraints()].iter();
                let got = got.map(|cell| F::from_noncanonical_u64(cell[point]));
                assert_eq!(got.collect::<Vec<_>>(), sample(x), "{kernel:?}");
            }
        }
    }

    #[test]
    fn cells_are_used_again() {
        let (nodes, output) = record(2, |x| {
            let x: Vec<Symbol> = x.iter().map(|x| *Symbol::from_slice(&[*x])).collect();
            let sum = (0..100).fold(x[0], |sum, _| sum * sum + x[1]);
            place(sum.as_slice()[0])
        });
        let tape = Tape::new(&nodes, 2, &[output]);
        // Inputs, the constraint, and what the next value is made from.
        assert!(tape.cells() <= 2 + 1 + 3, "{}", tape.cells());
    }
}
