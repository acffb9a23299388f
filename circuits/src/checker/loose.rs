//! Constraint mutation on one build (STYLE 17).
//!
//! In a circuit built by `Builder::loose` the assertions are not built: equalities are noted, and
//! a gate's constraint that serves one assertion only is noted as its own. So one evaluation tells
//! the set of assertions that a witness breaks. An assertion is *needed* if some witness breaks it
//! and nothing else: without it, that witness would pass.
//!
//! A `Scene` is a witness with its values; lies are told on top of it and only what depends on
//! them is computed again. `Coverage` tells lies about every free target of a circuit, one at a
//! time and then mended where a second lie can, and remembers which assertions were needed. A lie
//! about a hint that breaks nothing while the public inputs change is a hole.

mod coverage;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::iop::generator::{GeneratedValues, WitnessGeneratorRef};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, PartitionWitness};
use plonky2::plonk::config::Hasher;
use plonky2::plonk::vars::EvaluationVarsBaseBatch;
use tally_protocol::hash::F;

use super::Checker;
use crate::builder::{Assertion, Builder, D};

pub use coverage::{Coverage, Implied};

/// A set of targets that are joined: the index of the one that stands for all.
type Class = usize;

/// A circuit without its equalities.
#[derive(Debug)]
pub struct Loose {
    checker: Checker,
    assertions: Vec<Assertion>,
    hints: Vec<(&'static str, Vec<Target>)>,
    /// Which assertion a row's constraint belongs to.
    owners: HashMap<(usize, usize), usize>,
    gate_of: Vec<usize>,
    /// By class: rows that it has a wire in, assertions that link it, generators that wait for it.
    rows: Vec<Vec<u32>>,
    links: Vec<Vec<usize>>,
    watchers: Vec<Vec<usize>>,
    /// Where a value goes over a link if nothing computes one there, and from where any goes.
    flows: Vec<Vec<Class>>,
    sources: Vec<Class>,
    /// What each generator writes, and what is written by any.
    outputs: Vec<Vec<Class>>,
    computed: Vec<bool>,
    /// Plonky2's Poseidon generator panics if this isn't a bit.
    swaps: Vec<Option<Class>>,
    /// Public inputs, or what a bare circuit has instead.
    stated: BTreeSet<Class>,
}

/// What a witness breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broken {
    pub assertions: BTreeSet<usize>,
    /// Constraints that belong to no assertion: something computed isn't what it says.
    pub gates: usize,
    /// Whether the circuit states something else than the scene.
    pub restated: bool,
    /// Of each equality that does not hold, the ends that differ.
    unequal: BTreeMap<usize, Vec<[(Target, F); 2]>>,
    /// What has another value than in the scene.
    changed: Vec<Class>,
}

impl Broken {
    /// The assertion without which the witness would pass.
    pub fn only(&self) -> Option<usize> {
        let one = self.gates == 0 && self.assertions.len() == 1;
        self.assertions.first().copied().filter(|_| one)
    }

    pub fn nothing(&self) -> bool {
        self.gates == 0 && self.assertions.is_empty()
    }
}

/// A witness, and what it breaks.
#[derive(Debug)]
pub struct Scene<'a> {
    loose: &'a Loose,
    witness: PartitionWitness<'a, F>,
    /// By class: whether the inputs say what it is.
    given: Vec<bool>,
    inputs: Vec<Target>,
    broken_rows: BTreeMap<usize, Vec<usize>>,
    broken_links: BTreeSet<usize>,
    public_inputs: Vec<F>,
}

impl Loose {
    /// From a builder made by `Builder::loose`. What each generator writes is learned from an
    /// honest witness, which has to pass.
    pub fn new(builder: Builder, honest: &PartialWitness<F>) -> Self {
        let assertions = builder.assertions().to_vec();
        let hints = builder.hint_groups().to_vec();
        let stated = builder.stated().to_vec();
        let checker = Checker::new(builder);
        let common = &checker.circuit.common;
        let mut gate_of = vec![0; common.degree()];
        for (gate, rows) in checker.rows.iter().enumerate() {
            rows.iter().for_each(|&row| gate_of[row] = gate);
        }
        let map = &checker.circuit.prover_only.representative_map;
        let wires = common.config.num_wires;
        let mut rows = vec![Vec::new(); map.len()];
        for row in 0..common.degree() {
            for class in &map[row * wires..(row + 1) * wires] {
                let rows: &mut Vec<u32> = &mut rows[*class];
                if rows.last() != Some(&(row as u32)) {
                    rows.push(row as u32);
                }
            }
        }
        let mut owners = HashMap::new();
        for (index, assertion) in assertions.iter().enumerate() {
            for (row, constraints) in &assertion.constraints {
                owners.extend(constraints.clone().map(|c| ((*row, c), index)));
            }
        }
        let generators = checker.circuit.prover_only.generators.len();
        let mut loose = Self {
            computed: vec![false; map.len()],
            rows,
            links: vec![Vec::new(); map.len()],
            watchers: watchers(&checker, map.len()),
            flows: vec![Vec::new(); map.len()],
            sources: Vec::new(),
            outputs: vec![Vec::new(); generators],
            stated: BTreeSet::new(),
            swaps: vec![None; generators],
            checker,
            assertions,
            hints,
            owners,
            gate_of,
        };
        let public_inputs = &loose.checker.circuit.prover_only.public_inputs;
        let stated = stated.iter().chain(public_inputs);
        loose.stated = stated.map(|target| loose.class(*target)).collect();
        loose.note_links();
        loose.note_swaps();
        loose.learn(honest);
        loose
    }

    pub fn assertions(&self) -> &[Assertion] {
        &self.assertions
    }

    /// An assertion by its number, what it asserts, its place and its source.
    fn name(&self, index: usize) -> String {
        let Assertion { kind, location, .. } = &self.assertions[index];
        format!("{index} {kind} at {location}: {}", self.code(index))
    }

    fn code(&self, index: usize) -> String {
        let location = self.assertions[index].location;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let source = std::fs::read_to_string(root.join(location.file())).unwrap_or_default();
        let line = source.lines().nth(location.line() as usize - 1);
        line.unwrap_or_default().trim().to_owned()
    }

    /// The outputs of every hint of a name, in the order of building.
    pub fn hints(&self, name: &str) -> Vec<&[Target]> {
        let named = self.hints.iter().filter(|(hint, _)| *hint == name);
        named.map(|(_, outputs)| outputs.as_slice()).collect()
    }

    /// A witness from inputs, all of them given.
    pub fn scene(&self, inputs: &PartialWitness<F>) -> Scene<'_> {
        let mut scene = Scene {
            loose: self,
            witness: self.blank(),
            given: vec![false; self.rows.len()],
            inputs: inputs.target_values.keys().copied().collect(),
            broken_rows: BTreeMap::new(),
            broken_links: BTreeSet::new(),
            public_inputs: Vec::new(),
        };
        let mut given = Vec::new();
        for (&target, &value) in &inputs.target_values {
            let class = self.class(target);
            given.push(class);
            scene.given[class] = true;
            scene.witness.values[class] = Some(value);
        }
        scene.inputs.sort_by_key(|target| self.index(*target));
        let all = 0..self.outputs.len();
        scene.run(all.collect(), given);
        scene.public_inputs = scene.public_inputs();
        let hash = PoseidonHash::hash_no_pad(&scene.public_inputs);
        for row in 0..self.gate_of.len() {
            let broken = scene.broken_constraints(row, &hash);
            if !broken.is_empty() {
                scene.broken_rows.insert(row, broken);
            }
        }
        for index in 0..self.assertions.len() {
            if !scene.unequal(&self.assertions[index].links).is_empty() {
                scene.broken_links.insert(index);
            }
        }
        scene
    }

    fn blank(&self) -> PartitionWitness<'_, F> {
        let common = &self.checker.circuit.common;
        let map = &self.checker.circuit.prover_only.representative_map;
        PartitionWitness::new(common.config.num_wires, common.degree(), map)
    }

    fn index(&self, target: Target) -> usize {
        let common = &self.checker.circuit.common;
        target.index(common.config.num_wires, common.degree())
    }

    fn class(&self, target: Target) -> Class {
        self.checker.circuit.prover_only.representative_map[self.index(target)]
    }

    fn note_links(&mut self) {
        for index in 0..self.assertions.len() {
            for (x, y) in self.assertions[index].links.clone() {
                let (x, y) = (self.class(x), self.class(y));
                for (from, to) in [(x, y), (y, x)] {
                    self.links[from].push(index);
                    self.flows[from].push(to);
                }
            }
        }
        let flows = self.flows.iter().enumerate();
        let sources = flows.filter(|(_, to)| !to.is_empty());
        self.sources = sources.map(|(from, _)| from).collect();
    }

    fn note_swaps(&mut self) {
        let generators = &self.checker.circuit.prover_only.generators;
        let swap = |generator: &WitnessGeneratorRef<F, D>| {
            let is_poseidon = generator.0.id().starts_with("PoseidonGenerator");
            let watched = generator.0.watch_list();
            watched.last().copied().filter(|_| is_poseidon)
        };
        let swaps: Vec<Option<Target>> = generators.iter().map(swap).collect();
        let classes = swaps.into_iter();
        self.swaps = classes.map(|swap| Some(self.class(swap?))).collect();
    }

    /// Runs all generators, values flowing over a link where nothing else happens.
    fn learn(&mut self, honest: &PartialWitness<F>) {
        let mut outputs = core::mem::take(&mut self.outputs);
        let mut witness = self.blank();
        let mut queue: Vec<Class> = Vec::new();
        for (&target, &value) in &honest.target_values {
            let class = self.class(target);
            witness.values[class] = Some(value);
            queue.push(class);
        }
        let mut pending: Vec<usize> = (0..outputs.len()).collect();
        let mut done = vec![false; outputs.len()];
        let mut known = queue.clone();
        loop {
            while let Some(generator) = pending.pop() {
                if done[generator] {
                    continue;
                }
                let Some(values) = self.generate(&witness, generator) else {
                    continue;
                };
                done[generator] = true;
                for (target, value) in values {
                    let class = self.class(target);
                    outputs[generator].push(class);
                    if witness.values[class].is_none() {
                        witness.values[class] = Some(value);
                        known.push(class);
                        pending.extend(&self.watchers[class]);
                    }
                }
            }
            let open = |to: &Class| witness.values[*to].is_none();
            let flow = known.iter().find_map(|from| {
                let to = self.flows[*from].iter().copied().find(open)?;
                Some((*from, to))
            });
            let Some((from, to)) = flow else { break };
            witness.values[to] = witness.values[from];
            known.push(to);
            pending.extend(&self.watchers[to]);
        }
        for class in outputs.iter().flatten() {
            self.computed[*class] = true;
        }
        self.outputs = outputs;
        let idle = done.iter().filter(|done| !**done).count();
        assert_eq!(idle, 0, "generators that an honest witness does not run");
        let broken = self.scene(honest).broken();
        assert!(broken.nothing(), "the honest witness breaks {broken:?}");
    }

    /// What a generator writes; None if it cannot run yet, or fails.
    fn generate(
        &self,
        witness: &PartitionWitness<'_, F>,
        generator: usize,
    ) -> Option<Vec<(Target, F)>> {
        if let Some(swap) = self.swaps[generator] {
            let bit = witness.values[swap]?;
            if bit != F::ZERO && bit != F::ONE {
                return None;
            }
        }
        let mut buffer = GeneratedValues::empty();
        let generator = &self.checker.circuit.prover_only.generators[generator].0;
        let ran = catch_unwind(AssertUnwindSafe(|| generator.run(witness, &mut buffer)));
        ran.unwrap_or(false).then_some(buffer.target_values)
    }
}

fn watchers(checker: &Checker, classes: usize) -> Vec<Vec<usize>> {
    let mut watchers = vec![Vec::new(); classes];
    let watches = &checker.circuit.prover_only.generator_indices_by_watches;
    for (class, generators) in watches {
        watchers[*class].clone_from(generators);
    }
    watchers
}

impl Scene<'_> {
    pub fn get(&self, target: Target) -> F {
        self.witness.values[self.loose.class(target)].unwrap_or_default()
    }

    /// What the witness breaks without a further lie.
    pub fn broken(&self) -> Broken {
        self.verdict(&self.broken_rows, &self.broken_links, false)
    }

    /// What it breaks with these lies, everything else computed from them. The scene stays.
    pub fn lie(&mut self, lies: &[(Target, F)]) -> Broken {
        let loose = self.loose;
        let lies: BTreeMap<Class, F> = lies
            .iter()
            .map(|&(target, value)| (loose.class(target), value))
            .collect();
        let (classes, generators) = self.downstream(&lies);
        let saved: Vec<(Class, Option<F>)> = classes
            .iter()
            .map(|&class| (class, self.witness.values[class].take()))
            .collect();
        for (&class, &value) in &lies {
            self.witness.values[class] = Some(value);
        }
        // What stays may flow into what was cleared, and lets generators run.
        let stays = |class: &Class| self.witness.values[*class].is_some();
        let sources = loose.sources.iter().copied().filter(stays).collect();
        self.run(generators, sources);
        let changed = |(class, old): &(Class, Option<F>)| {
            let new = self.witness.values[*class].unwrap_or_default();
            (new != old.unwrap_or_default()).then_some(*class)
        };
        let changed: Vec<Class> = saved.iter().filter_map(changed).collect();
        let mut verdict = self.judge(&changed);
        verdict.changed = changed;
        for (class, value) in saved {
            self.witness.values[class] = value;
        }
        verdict
    }

    /// What depends on the lies, and the generators in between.
    fn downstream(&self, lies: &BTreeMap<Class, F>) -> (Vec<Class>, Vec<usize>) {
        let loose = self.loose;
        let mut classes: Vec<Class> = lies.keys().copied().collect();
        let mut seen = vec![false; loose.rows.len()];
        classes.iter().for_each(|class| seen[*class] = true);
        let mut generators = Vec::new();
        let mut among = vec![false; loose.outputs.len()];
        let mut at = 0;
        while at < classes.len() {
            let class = classes[at];
            at += 1;
            let mut reach = |to: Class| {
                if !self.given[to] && !seen[to] {
                    seen[to] = true;
                    classes.push(to);
                }
            };
            for &generator in &loose.watchers[class] {
                if !among[generator] {
                    among[generator] = true;
                    generators.push(generator);
                    loose.outputs[generator]
                        .iter()
                        .copied()
                        .for_each(&mut reach);
                }
            }
            for &to in &loose.flows[class] {
                if !loose.computed[to] {
                    reach(to);
                }
            }
        }
        (classes, generators)
    }

    /// Runs generators, and lets values flow over links, until nothing changes.
    fn run(&mut self, generators: Vec<usize>, mut fresh: Vec<Class>) {
        let loose = self.loose;
        // Those that may run, once.
        let mut waits = vec![false; loose.outputs.len()];
        generators.iter().for_each(|one| waits[*one] = true);
        let mut pending = generators;
        loop {
            while let Some(class) = fresh.pop() {
                let value = self.witness.values[class];
                for &to in &loose.flows[class] {
                    if !loose.computed[to] && self.witness.values[to].is_none() {
                        self.witness.values[to] = value;
                        fresh.push(to);
                        pending.extend(&loose.watchers[to]);
                    }
                }
            }
            let Some(generator) = pending.pop() else {
                break;
            };
            if !waits[generator] {
                continue;
            }
            let Some(values) = loose.generate(&self.witness, generator) else {
                continue;
            };
            waits[generator] = false;
            for (target, value) in values {
                let class = loose.class(target);
                if self.witness.values[class].is_none() {
                    self.witness.values[class] = Some(value);
                    fresh.push(class);
                    pending.extend(&loose.watchers[class]);
                }
            }
        }
    }

    fn judge(&self, changed: &[Class]) -> Broken {
        let loose = self.loose;
        let mut rows: BTreeSet<usize> = BTreeSet::new();
        let mut links = BTreeSet::new();
        for class in changed {
            rows.extend(loose.rows[*class].iter().map(|row| *row as usize));
            links.extend(loose.links[*class].iter().copied());
        }
        let restated = changed.iter().any(|c| loose.stated.contains(c));
        let inputs = match restated {
            true => self.public_inputs(),
            false => self.public_inputs.clone(),
        };
        let hash = PoseidonHash::hash_no_pad(&inputs);
        let mut broken_rows = self.broken_rows.clone();
        for row in rows {
            broken_rows.insert(row, self.broken_constraints(row, &hash));
        }
        let mut broken_links = self.broken_links.clone();
        for index in links {
            match self.unequal(&loose.assertions[index].links).is_empty() {
                false => broken_links.insert(index),
                true => broken_links.remove(&index),
            };
        }
        self.verdict(&broken_rows, &broken_links, restated)
    }

    fn verdict(
        &self,
        rows: &BTreeMap<usize, Vec<usize>>,
        links: &BTreeSet<usize>,
        restated: bool,
    ) -> Broken {
        let mut broken = Broken {
            assertions: links.clone(),
            restated,
            ..Broken::default()
        };
        for (&row, constraints) in rows {
            for &constraint in constraints {
                match self.loose.owners.get(&(row, constraint)) {
                    Some(&assertion) => {
                        broken.assertions.insert(assertion);
                    }
                    None => broken.gates += 1,
                }
            }
        }
        for &index in &broken.assertions {
            let Assertion { links, guarded, .. } = &self.loose.assertions[index];
            let unequal = self.unequal(&[&links[..], guarded].concat());
            let differs = !unequal.is_empty();
            broken.unequal.extend(differs.then_some((index, unequal)));
        }
        broken
    }

    fn public_inputs(&self) -> Vec<F> {
        let targets = &self.loose.checker.circuit.prover_only.public_inputs;
        targets.iter().map(|&target| self.get(target)).collect()
    }

    fn unequal(&self, pairs: &[(Target, Target)]) -> Vec<[(Target, F); 2]> {
        let ends = pairs.iter();
        let ends = ends.map(|&(x, y)| [(x, self.get(x)), (y, self.get(y))]);
        ends.filter(|[x, y]| x.1 != y.1).collect()
    }

    fn broken_constraints(&self, row: usize, public_inputs_hash: &HashOut<F>) -> Vec<usize> {
        let checker = &self.loose.checker;
        let gate = &checker.circuit.common.gates[self.loose.gate_of[row]].0;
        if gate.num_constraints() == 0 {
            return Vec::new();
        }
        let wires: Vec<F> = (0..gate.num_wires())
            .map(|column| self.get(Target::wire(row, column)))
            .collect();
        let constants: Vec<F> = checker.constants.iter().map(|column| column[row]).collect();
        let vars = EvaluationVarsBaseBatch::new(1, &constants, &wires, public_inputs_hash);
        let values = gate.eval_unfiltered_base_batch(vars);
        let broken = values.iter().enumerate().filter(|(_, v)| **v != F::ZERO);
        broken.map(|(constraint, _)| constraint).collect()
    }
}
