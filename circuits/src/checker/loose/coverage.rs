//! Lies about every free target of a circuit, and which assertions they show to be needed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use plonky2::iop::witness::PartialWitness;
use tally_protocol::hash::F;

use super::{Broken, Class, Loose, Scene};

/// Broken assertions at once, beside the one in question, that are worth mending.
const MENDABLE: usize = 8;
/// Outputs of a hint up to which every pair of them is lied about.
const PAIRED: usize = 6;
/// Bits of a list up to which every three of them are lied about, so that their sum stays.
const TRIPLED: usize = 8;

/// Assertions shown that a lie breaks beside the one in question.
const SHOWN: usize = 6;
/// Hints that a lie moves, up to which each is held back once.
const STALE: usize = 12;

type Lies = Vec<(Target, F)>;

/// Assertions that no lie can break alone, and why: what breaks one of them breaks another too.
#[derive(Clone, Copy, Debug)]
pub struct Implied {
    /// The end of the source file's path, and what the assertion's line begins with.
    pub file: &'static str,
    pub line: &'static str,
    /// How many a circuit has of them.
    pub count: usize,
    pub why: &'static str,
}

/// Which assertions some lie has shown to be needed.
#[derive(Debug)]
pub struct Coverage<'a> {
    loose: &'a Loose,
    needed: Vec<bool>,
    /// What is expected to be implied, and which of it an assertion may be.
    implied: &'a [Implied],
    may_be: Vec<Option<usize>>,
    holes: BTreeSet<String>,
    /// Of an assertion that is still in question, the fewest others that a lie broke with it.
    beside: BTreeMap<usize, BTreeSet<usize>>,
    told: usize,
    /// Hints by their outputs.
    groups: BTreeMap<Class, Vec<usize>>,
}

impl<'a> Coverage<'a> {
    pub fn new(loose: &'a Loose) -> Self {
        Self::with_implied(loose, &[])
    }

    /// With a list of assertions that others imply. `assert_whole` holds it to be exact: one that
    /// some lie needs is a mistake too.
    pub fn with_implied(loose: &'a Loose, implied: &'a [Implied]) -> Self {
        let mut groups: BTreeMap<Class, Vec<usize>> = BTreeMap::new();
        for (group, (_, outputs)) in loose.hints.iter().enumerate() {
            for output in outputs {
                groups.entry(loose.class(*output)).or_default().push(group);
            }
        }
        let covers = |index: usize| {
            let (file, code) = (loose.assertions[index].location.file(), loose.code(index));
            let covers = |of: &Implied| file.ends_with(of.file) && code.starts_with(of.line);
            implied.iter().position(covers)
        };
        Self {
            needed: vec![false; loose.assertions.len()],
            may_be: (0..loose.assertions.len()).map(covers).collect(),
            implied,
            loose,
            holes: BTreeSet::new(),
            beside: BTreeMap::new(),
            told: 0,
            groups,
        }
    }

    /// A broken witness, past all hints: something must refuse it.
    pub fn attack(&mut self, name: &str, inputs: &PartialWitness<F>) {
        let broken = self.loose.scene(inputs).broken();
        if broken.nothing() {
            self.holes.insert(name.to_owned());
        }
        self.note(&broken);
    }

    /// Remembers what a witness shows.
    pub fn note(&mut self, broken: &Broken) {
        if let Some(only) = broken.only() {
            self.needed[only] = true;
        }
        if broken.gates > 0 {
            return;
        }
        let count = broken.assertions.len();
        for &index in &broken.assertions {
            let fewest = self.beside.get(&index).map_or(usize::MAX, BTreeSet::len);
            if !self.needed[index] && count < fewest {
                self.beside.insert(index, broken.assertions.clone());
            }
        }
    }

    /// Lies told together. Where they break several assertions, for each that is in question the
    /// others are mended as far as that goes.
    pub fn tell(&mut self, scene: &mut Scene<'_>, lies: &[(Target, F)]) -> Broken {
        let broken = self.tell_alone(scene, lies);
        for &question in &broken.assertions {
            if self.is_open(question) {
                self.mend(scene, lies, &broken, (question, MENDABLE));
            }
        }
        broken
    }

    fn tell_alone(&mut self, scene: &mut Scene<'_>, lies: &[(Target, F)]) -> Broken {
        self.told += 1;
        let broken = scene.lie(&self.with_pins(scene, lies));
        self.note(&broken);
        broken
    }

    /// Mends the first other assertion that can be, by moving ends that are free or another output
    /// of the same hint, and goes on.
    fn mend(
        &mut self,
        scene: &mut Scene<'_>,
        lies: &[(Target, F)],
        broken: &Broken,
        (question, left): (usize, usize),
    ) {
        let others = broken.assertions.len() - 1;
        if broken.gates > 0 || others == 0 || others > left {
            return;
        }
        let elsewhere = broken
            .unequal
            .iter()
            .filter(|(index, _)| **index != question);
        let mendings = elsewhere.map(|(_, unequal)| self.mendings(scene, lies, unequal));
        let first = mendings.into_iter().find(|mendings| !mendings.is_empty());
        for more in first.into_iter().flatten() {
            let all = [lies, &more].concat();
            let next = self.tell_alone(scene, &all);
            let worth = next.assertions.len() <= broken.assertions.len();
            let goes_on = worth && next.assertions.contains(&question);
            if goes_on && !self.needed[question] {
                self.mend(scene, &all, &next, (question, left - 1));
            }
        }
    }

    /// Lies about every hint; in an honest scene one that breaks nothing has to state the same.
    pub fn fuzz_hints(&mut self, scene: &mut Scene<'_>) {
        let honest = scene.broken().nothing();
        let loose = self.loose;
        for (name, outputs) in &loose.hints {
            for lies in lies_about(scene, outputs) {
                let broken = self.tell(scene, &lies);
                if honest && broken.nothing() && broken.restated {
                    let values: Vec<F> = outputs.iter().map(|o| scene.get(*o)).collect();
                    let told: Vec<F> = lies.iter().map(|lie| lie.1).collect();
                    let hole = format!("{name} {values:?} told {told:?}");
                    self.holes.insert(hole);
                }
            }
        }
    }

    /// Lies about everything that is given, about both ends of every equality that nothing
    /// computes and about every hint: as far as they reach an assertion that is still in question.
    pub fn fuzz_open(&mut self, scene: &mut Scene<'_>) {
        self.fuzz(scene, true);
    }

    /// As `fuzz_open`, all hints following each lie: a tenth of the lies, to begin with.
    pub fn fuzz_followed(&mut self, scene: &mut Scene<'_>) {
        self.fuzz(scene, false);
    }

    fn fuzz(&mut self, scene: &mut Scene<'_>, with_stale: bool) {
        if !(0..self.needed.len()).any(|index| self.is_open(index)) {
            return;
        }
        for target in self.free_targets(scene) {
            if self.reaches_open(scene, &[target]) {
                for value in alternatives(scene.get(target)) {
                    let broken = self.tell(scene, &[(target, value)]);
                    if with_stale {
                        self.tell_stale(scene, (target, value), &broken);
                    }
                }
            }
        }
        let loose = self.loose;
        for (_, outputs) in &loose.hints {
            if self.reaches_open(scene, outputs) {
                for lies in lies_about(scene, outputs) {
                    self.tell(scene, &lies);
                }
            }
        }
    }

    /// The same lie, one of the hints that it moves staying what it was.
    fn tell_stale(&mut self, scene: &mut Scene<'_>, lie: (Target, F), broken: &Broken) {
        let loose = self.loose;
        let moved = broken.changed.iter().filter_map(|c| self.groups.get(c));
        let moved: BTreeSet<usize> = moved.flatten().copied().collect();
        let told = |group: &&usize| loose.hints[**group].0 != "lane";
        let moved: Vec<usize> = moved.iter().filter(told).copied().collect();
        for group in moved.into_iter().take(STALE) {
            let outputs = loose.hints[group].1.iter();
            let mut lies: Lies = outputs
                .map(|output| (*output, scene.get(*output)))
                .collect();
            lies.push(lie);
            self.tell(scene, &lies);
        }
    }

    fn free_targets(&self, scene: &Scene<'_>) -> Vec<Target> {
        let loose = self.loose;
        let mut seen = BTreeSet::new();
        let ends = loose.assertions.iter().flat_map(|a| &a.links);
        let ends = ends.flat_map(|&(x, y)| [x, y]);
        let all = scene.inputs.iter().copied().chain(ends);
        let free = |target: &Target| {
            let class = loose.class(*target);
            self.is_free(scene, class) && seen.insert(class)
        };
        all.filter(free).collect()
    }

    fn is_free(&self, scene: &Scene<'_>, class: Class) -> bool {
        !self.loose.computed[class] || scene.given[class]
    }

    fn reaches_open(&self, scene: &Scene<'_>, targets: &[Target]) -> bool {
        let loose = self.loose;
        let lies = targets.iter().map(|t| (loose.class(*t), F::ZERO)).collect();
        let (reached, _) = scene.downstream(&lies);
        let reached: HashSet<Class> = reached.into_iter().collect();
        let about = |index: usize| {
            let assertion = &loose.assertions[index];
            let pairs = assertion.links.iter().chain(&assertion.guarded);
            let ends = pairs.flat_map(|&(x, y)| [x, y]);
            let mut all = ends.chain(assertion.about.iter().copied());
            all.any(|target| reached.contains(&loose.class(target)))
        };
        (0..self.needed.len()).any(|index| self.is_open(index) && about(index))
    }

    fn hint_groups(&self, lies: &[(Target, F)]) -> BTreeSet<usize> {
        let groups = lies.iter().filter_map(|lie| {
            let class = self.loose.class(lie.0);
            self.groups.get(&class)
        });
        groups.flatten().copied().collect()
    }

    /// A liar chooses a hint's outputs together: those that he says nothing about stay.
    fn with_pins(&self, scene: &Scene<'_>, lies: &[(Target, F)]) -> Lies {
        let loose = self.loose;
        let lied: BTreeSet<Class> = lies.iter().map(|lie| loose.class(lie.0)).collect();
        let mut all = lies.to_vec();
        for group in self.hint_groups(lies) {
            // What a gate computes from the lie is no choice.
            if loose.hints[group].0 == "lane" {
                continue;
            }
            let outputs = loose.hints[group].1.iter().copied();
            let others = outputs.filter(|output| !lied.contains(&loose.class(*output)));
            all.extend(others.map(|output| (output, scene.get(output))));
        }
        all
    }

    fn mendings(
        &self,
        scene: &Scene<'_>,
        lies: &[(Target, F)],
        unequal: &[[(Target, F); 2]],
    ) -> Vec<Lies> {
        let loose = self.loose;
        let lied: BTreeSet<Class> = lies.iter().map(|lie| loose.class(lie.0)).collect();
        let is_free = |target: Target| {
            let class = loose.class(target);
            !lied.contains(&class) && self.is_free(scene, class)
        };
        let mut mendings: Vec<Lies> = Vec::new();
        for side in [0, 1] {
            let moved = unequal.iter().map(|ends| (ends[side].0, ends[1 - side].1));
            let moved: Lies = moved.collect();
            if moved.iter().all(|lie| is_free(lie.0)) {
                mendings.push(moved);
            }
        }
        let [[x, y]] = unequal else { return mendings };
        let gap = x.1 - y.1;
        for group in self.hint_groups(lies) {
            let (name, outputs) = &loose.hints[group];
            if outputs.len() > PAIRED || *name == "lane" {
                continue;
            }
            let silent = |output: &&Target| !lied.contains(&loose.class(**output));
            for &output in outputs.iter().filter(silent) {
                let value = scene.get(output);
                mendings.push(vec![(output, value + gap)]);
                mendings.push(vec![(output, value - gap)]);
            }
        }
        mendings
    }

    /// Each assertion is needed or on the list of the implied, and no lie passes.
    #[track_caller]
    pub fn assert_whole(&self) {
        assert!(self.holes.is_empty(), "lies that pass: {:#?}", self.holes);
        let (told, missing) = (self.told, self.missing());
        let of = missing.len();
        assert!(
            missing.is_empty(),
            "{told} lies need none of these {of}: {missing:#?}"
        );
        for (i, of) in self.implied.iter().enumerate() {
            let found = self.unneeded_of(i);
            assert_eq!(found, of.count, "not implied, some lie needs it: {of:?}");
        }
    }

    /// Whether nothing has shown an assertion to be needed, and no more of its kind are expected to
    /// be implied.
    fn is_open(&self, index: usize) -> bool {
        let may_be = self.may_be[index];
        let expected = |of: usize| self.unneeded_of(of) <= self.implied[of].count;
        !self.needed[index] && !may_be.is_some_and(expected)
    }

    fn unneeded_of(&self, implied: usize) -> usize {
        let all = self.may_be.iter().zip(&self.needed);
        all.filter(|(of, needed)| **of == Some(implied) && !**needed)
            .count()
    }

    /// Whether nothing has shown yet that a target has to be a bit.
    pub fn may_be_no_bit(&self, target: Target) -> bool {
        let class = self.loose.class(target);
        let mut all = self.loose.assertions.iter().enumerate();
        all.any(|(index, assertion)| {
            let about = assertion.about.iter();
            let about = about.chain(assertion.links.iter().map(|(x, _)| x));
            let is_it = about.into_iter().any(|t| self.loose.class(*t) == class);
            assertion.kind == "bit" && is_it && self.is_open(index)
        })
    }

    /// What a verdict is about, for a test's message.
    pub fn names(&self, broken: &Broken) -> Vec<String> {
        let all = broken.assertions.iter().take(SHOWN);
        all.map(|index| self.loose.name(*index)).collect()
    }

    /// Where the assertions stand that nothing has shown to be needed, each with what else the
    /// nearest lie breaks.
    pub fn missing(&self) -> Vec<String> {
        let describe = |index: usize| {
            let beside = self.beside.get(&index).into_iter().flatten();
            let others = beside.filter(|other| **other != index).take(SHOWN);
            let others: Vec<String> = others.map(|other| self.loose.name(*other)).collect();
            format!("{} beside {others:?}", self.loose.name(index))
        };
        let open = (0..self.needed.len()).filter(|index| self.is_open(*index));
        open.map(describe).collect()
    }

    /// Lies about hints that pass, and attacks.
    pub fn holes(&self) -> &BTreeSet<String> {
        &self.holes
    }

    pub fn told(&self) -> usize {
        self.told
    }
}

/// What else a value could be: off by one, the other bit, nothing, negative, too wide.
fn alternatives(value: F) -> Vec<F> {
    let plus = |bits: u32| value + F::from_canonical_u64(1 << bits);
    let all = [
        value + F::ONE,
        value - F::ONE,
        F::ONE - value,
        F::ZERO,
        F::TWO,
        F::NEG_ONE,
        -value,
        plus(32),
        value - F::from_canonical_u64(1 << 33),
        plus(61),
        plus(62),
    ];
    let mut seen = BTreeSet::from([value.0]);
    all.into_iter().filter(|lie| seen.insert(lie.0)).collect()
}

/// Each output on its own; and of a list of bits, another one set, and sums that stay though no
/// bits remain.
fn lies_about(scene: &Scene<'_>, outputs: &[Target]) -> Vec<Lies> {
    let values: Vec<F> = outputs.iter().map(|output| scene.get(*output)).collect();
    let is_bit = |value: &F| *value == F::ZERO || *value == F::ONE;
    let bits = values.iter().all(is_bit);
    let mut all = Vec::new();
    for (&output, &value) in outputs.iter().zip(&values) {
        let lies = match bits && outputs.len() > 1 {
            true => vec![F::ONE - value, F::TWO, F::NEG_ONE],
            false => alternatives(value),
        };
        all.extend(lies.into_iter().map(|lie| vec![(output, lie)]));
    }
    if outputs.len() < 2 || !bits {
        return all;
    }
    let set = F::from_canonical_usize(values.iter().filter(|bit| **bit == F::ONE).count());
    let told = |bits: &[F]| outputs.iter().copied().zip(bits.iter().copied()).collect();
    for i in 0..outputs.len() {
        for value in BTreeSet::from([1, set.0]) {
            let mut one = vec![F::ZERO; outputs.len()];
            one[i] = F::from_canonical_u64(value);
            all.push(told(&one));
        }
        let near = |j: &usize| outputs.len() <= PAIRED || i.abs_diff(*j) == 1;
        for j in (0..outputs.len()).filter(|&j| j != i).filter(near) {
            let mut moved = values.clone();
            moved[i] += F::ONE;
            moved[j] -= F::ONE;
            all.push(told(&moved));
        }
        for (j, k) in pairs_beside(i, outputs.len()) {
            let mut three = vec![F::ZERO; outputs.len()];
            (three[i], three[j], three[k]) = (F::NEG_ONE, F::ONE, F::ONE);
            all.push(told(&three));
        }
    }
    all
}

/// Two others of a short list.
fn pairs_beside(i: usize, count: usize) -> impl Iterator<Item = (usize, usize)> {
    let pairs = (0..count).flat_map(move |j| (j + 1..count).map(move |k| (j, k)));
    pairs.filter(move |(j, k)| count <= TRIPLED && *j != i && *k != i)
}
