//! Constraint mutation (STYLE 17): a constraint is *needed* if some witness breaks it and nothing
//! else, for without it that witness would pass.
//!
//! Lies are told about cells as they are put, one at a time, and everything after follows from
//! them; what a lie breaks besides is mended by further lies. Every constraint of each gadget must
//! turn out to be needed, and halo2 must refuse the witness that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use halo2_base::QuantumCell;
use halo2_base::utils::{biguint_to_fe, fe_to_biguint};
use halo2_proofs::dev::MockProver;
use halo2_proofs::halo2curves::ff::Field as _;
use num_bigint::BigUint;
use plonky2::field::types::Field;
use tally_circuits::F;

use super::*;
use crate::chip::{Int, WORD, constant, modulus};
use crate::permutation::{ROWS, expected};
use crate::poseidon::to_halo;
use crate::side::{CHECK_ROWS, CHECKS, LIMBS, PERMUTATIONS, Place};

const SIZE: Size = Size {
    k: 11,
    limb_bits: 8,
};
/// Lies that may follow the first one to mend what it broke.
const MENDS: usize = 2;
/// A lie that breaks more than this is not mended.
const MENDABLE: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Constraint {
    /// By the cell that it begins at.
    Gate(usize),
    /// By its place among the copies, and among those of constants.
    Equal(usize),
    Constant(usize),
    /// A number is what its limbs say; each limb is one.
    Limbs(usize),
    Limb(usize, usize),
    /// A cell of a permutation that follows from others.
    Step(usize, usize),
}

type Lies = Vec<(Place, Fr)>;
type Body = Box<dyn Fn(&mut Chip<'_>)>;

impl WrapCircuit {
    fn at(&self, place: Place) -> Fr {
        match place {
            Place::Cell(i) => self.cells[i].evaluate(),
            Place::Check(i) => self.side.checks[i / CHECK_ROWS][i % CHECK_ROWS],
            Place::Permutation(i) => to_halo(self.side.permutations[i / ROWS][i % ROWS]),
            Place::Constant(i) => self.constants[i],
        }
    }

    fn copies(&self) -> &Copies {
        self.copies.as_ref().expect("constraints are kept")
    }

    /// Every constraint with what it lacks: zero where it holds.
    fn constraints(&self) -> BTreeMap<Constraint, Fr> {
        let mut all = BTreeMap::new();
        let begins = (0..).zip(&self.gates).filter(|(_, begins)| **begins);
        for (i, _) in begins {
            let [a, b, c, d] = [0, 1, 2, 3].map(|j| self.at(Place::Cell(i + j)));
            all.insert(Constraint::Gate(i), a + b * c - d);
        }
        for (i, (left, right)) in self.copies().equal.iter().enumerate() {
            let [left, right] = [left, right].map(|cell| self.at(place(cell)));
            all.insert(Constraint::Equal(i), left - right);
        }
        for (i, (c, cell)) in self.copies().constants.iter().enumerate() {
            all.insert(Constraint::Constant(i), *c - self.at(place(cell)));
        }
        let bits = self.size.limb_bits;
        for (i, [number, limbs @ ..]) in self.side.checks.iter().enumerate() {
            let mut sum = Fr::ZERO;
            for (j, limb) in limbs.iter().enumerate() {
                sum += limb * Fr::from(1 << (j * bits));
                let excess = fe_to_biguint(limb) >> bits;
                all.insert(Constraint::Limb(i, j), biguint_to_fe(&excess));
            }
            all.insert(Constraint::Limbs(i), *number - sum);
        }
        for (i, cells) in self.side.permutations.iter().enumerate() {
            for (row, x) in expected(cells) {
                let lacking = to_halo(x) - to_halo(cells[row]);
                all.insert(Constraint::Step(i, row), lacking);
            }
        }
        all
    }
}

fn place(cell: &ContextCell) -> Place {
    match cell.type_id {
        PERMUTATIONS => Place::Permutation(cell.offset),
        CHECKS => Place::Check(cell.offset),
        _ => Place::Cell(cell.offset),
    }
}

fn run(body: &Body, lies: &Lies) -> WrapCircuit {
    let circuit = WrapCircuit::build(SIZE, true, None, |chip| {
        chip.side.lies = lies.clone();
        body(chip);
        Ok::<_, CircuitError>(vec![])
    });
    circuit.unwrap()
}

/// None where the lies have a hint divide by zero.
fn try_run(body: &Body, lies: &Lies) -> Option<WrapCircuit> {
    catch_unwind(AssertUnwindSafe(|| run(body, lies))).ok()
}

impl WrapCircuit {
    /// Whether it holds without halo2 being asked; the tests below compare the two.
    pub(crate) fn holds(&self) -> bool {
        let mut all = self.constraints().into_values();
        all.all(|lacking| lacking == Fr::ZERO)
    }

    /// A limb that must be zero is one anyhow.
    fn redundant(&self) -> BTreeSet<Constraint> {
        let cells = self.copies().constants.iter().map(|(_, cell)| place(cell));
        let limb = |at| match at {
            Place::Check(i) if i % CHECK_ROWS > 0 => {
                Some(Constraint::Limb(i / CHECK_ROWS, i % CHECK_ROWS - 1))
            }
            _ => None,
        };
        cells.filter_map(limb).collect()
    }

    /// Lies each of which would change a cell by this much: about it, or about what it is computed
    /// from.
    fn ways(&self, cell: Place, by: Fr) -> Lies {
        let mut ways = vec![(cell, by)];
        if let Place::Cell(d) = cell
            && d >= 3
            && self.gates.get(d - 3) == Some(&true)
        {
            let [b, c] = [d - 2, d - 1].map(|i| self.at(Place::Cell(i)));
            let over = |x: Fr| by * x.invert().unwrap_or(Fr::ZERO);
            ways.push((Place::Cell(d - 2), over(c)));
            ways.push((Place::Cell(d - 1), over(b)));
            ways.extend(self.ways(Place::Cell(d - 3), by));
        }
        ways
    }
}

/// Further lies, one of which could make this constraint hold.
fn mends(circuit: &WrapCircuit, constraint: Constraint, lacking: Fr) -> Lies {
    match constraint {
        Constraint::Gate(i) => {
            let end = Place::Cell(i + 3);
            let mut ways = circuit.ways(end, -lacking);
            ways[0].1 = lacking;
            ways
        }
        Constraint::Equal(i) => {
            let (left, right) = circuit.copies().equal[i];
            let mut ways = circuit.ways(place(&left), -lacking);
            ways.extend(circuit.ways(place(&right), lacking));
            ways
        }
        Constraint::Constant(i) => circuit.ways(place(&circuit.copies().constants[i].1), lacking),
        Constraint::Limbs(i) => {
            let first = i * CHECK_ROWS;
            let limb = |j: usize| {
                let worth = Fr::from(1 << (j * SIZE.limb_bits));
                let by = lacking * worth.invert().unwrap_or(Fr::ZERO);
                (Place::Check(first + 1 + j), by)
            };
            let mut ways: Lies = (0..LIMBS).map(limb).collect();
            ways.push((Place::Check(first), -lacking));
            ways
        }
        Constraint::Limb(i, j) => {
            let whole = lacking * Fr::from(1 << SIZE.limb_bits);
            vec![(Place::Check(i * CHECK_ROWS + 1 + j), -whole)]
        }
        Constraint::Step(i, row) => vec![(Place::Permutation(i * ROWS + row), lacking)],
    }
}

/// The needed constraints of one gadget, each with the scene and the lies that show it.
struct Coverage<'a> {
    scenes: &'a [Body],
    needed: BTreeMap<Constraint, (usize, Lies)>,
    all: BTreeSet<Constraint>,
}

impl Coverage<'_> {
    fn tell(&mut self, scene: usize, lies: Lies, mends_left: usize) {
        let Some(circuit) = try_run(&self.scenes[scene], &lies) else {
            return;
        };
        let broken: Vec<_> = circuit.constraints().into_iter().collect();
        let broken: Vec<_> = broken
            .into_iter()
            .filter(|(_, lacking)| *lacking != Fr::ZERO)
            .collect();
        if let [(only, _)] = broken[..] {
            self.needed.entry(only).or_insert((scene, lies.clone()));
        }
        if mends_left == 0 || broken.len() > MENDABLE || self.missing().is_empty() {
            return;
        }
        for (constraint, lacking) in &broken {
            for (place, by) in mends(&circuit, *constraint, *lacking) {
                let told = lies.iter().any(|(at, _)| *at == place);
                if by != Fr::ZERO && !told {
                    let lies = [&lies[..], &[(place, by)]].concat();
                    self.tell(scene, lies, mends_left - 1);
                }
            }
        }
    }

    fn missing(&self) -> Vec<Constraint> {
        let missing = self.all.iter().filter(|it| !self.needed.contains_key(it));
        missing.copied().collect()
    }
}

fn assert_all_needed(name: &str, scenes: Vec<Body>) {
    assert_needed(name, scenes, &[]);
}

/// All but those that only tighten what other constraints bound.
fn assert_needed(name: &str, scenes: Vec<Body>, slack: &[Constraint]) {
    let honest = run(&scenes[0], &vec![]);
    let redundant = honest.redundant();
    let all = honest.constraints().into_keys();
    let mut coverage = Coverage {
        all: all
            .filter(|it| !redundant.contains(it) && !slack.contains(it))
            .collect(),
        scenes: &scenes,
        needed: BTreeMap::new(),
    };
    let places: Vec<Place> = (0..honest.cells.len())
        .map(Place::Cell)
        .chain((0..honest.side.checks() * CHECK_ROWS).map(Place::Check))
        .chain((0..honest.side.permutations() * ROWS).map(Place::Permutation))
        .collect();
    let limbs = (0..=LIMBS).map(|i| Fr::from(1 << (i * SIZE.limb_bits)));
    let by: Vec<Fr> = limbs
        .chain([-Fr::ONE, Fr::from(4), biguint_to_fe(&modulus())])
        .chain([4, 8].map(|x| -Fr::from(x).invert().unwrap_or(Fr::ZERO)))
        .collect();
    for mends_left in 0..=MENDS {
        for scene in 0..scenes.len() {
            coverage.tell(scene, vec![], mends_left + 1);
            for place in &places {
                for by in by.iter().copied() {
                    if coverage.missing().is_empty() {
                        break;
                    }
                    coverage.tell(scene, vec![(*place, by)], mends_left);
                }
            }
        }
    }
    let missing = coverage.missing();
    assert!(missing.is_empty(), "{name}: not needed: {missing:?}");
    for (constraint, (scene, lies)) in &coverage.needed {
        let circuit = run(&scenes[*scene], lies);
        assert!(!accepts(&circuit), "{name}: {constraint:?}");
    }
}

fn accepts(circuit: &WrapCircuit) -> bool {
    let instances = vec![circuit.instances()];
    let prover = MockProver::run(SIZE.k as u32, circuit, instances).unwrap();
    prover.verify().is_ok()
}

fn body(body: impl Fn(&mut Chip<'_>) + 'static) -> Body {
    Box::new(body)
}

fn witness(chip: &mut Chip<'_>, value: impl Into<BigUint>) -> Cell {
    chip.load(QuantumCell::Witness(biguint_to_fe(&value.into())))
}

/// A gadget over one number, once for each value.
fn over<const N: usize>(values: [BigUint; N], gadget: fn(&mut Chip<'_>, Cell)) -> Vec<Body> {
    let scene = |value: BigUint| {
        body(move |chip| {
            let x = witness(chip, value.clone());
            gadget(chip, x);
        })
    };
    values.map(scene).into_iter().collect()
}

fn int(cell: Cell, bits: usize) -> Int {
    Int { cell, bits }
}

#[test]
fn gates_are_needed() {
    let scene = body(|chip| {
        let [a, b, c] = [2u32, 3, 1].map(|x| witness(chip, x));
        chip.gate(a.into(), b.into(), constant(7));
        chip.difference(a.into(), b.into());
        chip.sum_of_products(&[(a.into(), constant(1)), (b.into(), c.into())]);
        chip.sum_of_products(&[(a.into(), b.into()), (b.into(), constant(5))]);
        chip.choose(c, a, b);
    });
    assert_all_needed("gates", vec![scene]);
    let bits = over([0u32, 1, 2].map(BigUint::from), |chip, x| {
        chip.assert_bit(x)
    });
    assert_all_needed("a bit", bits);
}

#[test]
fn range_checks_are_needed() {
    for bits in [8, 13, 32, 40] {
        // A shifted limb of 8 bits has 16 at most, so its own limbs from the third on are zero.
        let slack = match bits {
            13 => vec![Constraint::Constant(5), Constraint::Constant(6)],
            _ => vec![],
        };
        let scene = move |value: u64| {
            body(move |chip| {
                let x = witness(chip, value);
                chip.check_bits(x, bits);
            })
        };
        let beyond = [0, 8, 16].map(|more| 1 << (bits + more));
        let scenes = [&[0, 1, (1 << bits) - 1], &beyond[..]].concat();
        let scenes = scenes.into_iter().map(scene);
        assert_needed(&format!("{bits} bits"), scenes.collect(), &slack);
    }
}

#[test]
fn reductions_are_needed() {
    let wide: BigUint = (BigUint::from(1u32) << 80) + 12_345u32;
    let reduce: fn(&mut Chip<'_>, Cell) = |chip, x| {
        chip.reduce(int(x, 90));
    };
    assert_all_needed("reduce", over([wide.clone(), modulus() * 3u32], reduce));
    let zero: fn(&mut Chip<'_>, Cell) = |chip, x| chip.assert_zero(int(x, 67));
    let few = [BigUint::ZERO, modulus() * 7u32, modulus() + 1u32];
    let many = [8, 16, 24].map(|bits| modulus() << bits);
    let multiples = [over(few, zero), over(many, zero)].into_iter().flatten();
    assert_all_needed("multiple", multiples.collect());
    let canonical: fn(&mut Chip<'_>, Cell) = |chip, x| {
        chip.canonical(int(x, WORD));
    };
    let words = [BigUint::from(5u32), modulus() + 3u32, modulus() - 1u32];
    assert_all_needed("canonical", over(words, canonical));
}

#[test]
fn bits_are_needed() {
    let bits: fn(&mut Chip<'_>, Cell) = |chip, x| {
        chip.low_bits(int(x, WORD), 2);
    };
    let words = [BigUint::from(0x4040_4040_4040_404bu64), BigUint::ZERO];
    let slack = [6, 7].map(Constraint::Constant);
    assert_needed("bits", over(words, bits), &slack);
}

#[test]
fn an_inverse_is_needed() {
    let scene = |value: u64| {
        body(move |chip| {
            let value = tally_circuits::Ext::from(F::from_canonical_u64(value));
            let x = chip.ext_witness(value);
            chip.ext_invert(&x);
        })
    };
    // The quotient's highest part: up to the width of all parts, it does not wrap around r.
    let slack = [16, 17, 18, 23, 24, 25].map(Constraint::Constant);
    assert_needed("invert", [1, 2].map(scene).into_iter().collect(), &slack);
}

#[test]
fn permutations_are_needed() {
    let scene = body(|chip| {
        let [left, right] = [1u32, 2].map(|x| witness(chip, x));
        chip.hash_node(left, right);
    });
    assert_all_needed("permutation", vec![scene]);
}

/// The gate of constants: a constant's own cell, and its copy, hold something else.
#[test]
fn constants_are_needed() {
    let load = body(|chip| {
        chip.load(constant(5));
    });
    assert!(accepts(&run(&load, &vec![])));
    let lies = [Place::Constant(0), Place::Cell(0)].map(|at| (at, Fr::ONE));
    assert!(!accepts(&run(&load, &lies.to_vec())));
}
