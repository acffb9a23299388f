//! Evaluates every constraint of a circuit on a witness, without proving.
//!
//! A circuit is built with a null hash, so building costs little more than its permutation and
//! FFTs. `check` is the honest prover: hints must run, agree with the inputs and satisfy every
//! constraint. `check_with_lies` is the dishonest one: it sets chosen targets first, and what a
//! generator would write there is thrown away; only constraints can refuse it.
//!
//! Copy constraints hold by construction, because all targets that they join share one value: a
//! wire that should differ shows as a violated gate on the row that computes it.

pub mod loose;

use core::fmt;
use std::collections::HashSet;

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::fri::reduction_strategies::FriReductionStrategy;
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::poseidon::{PoseidonHash, PoseidonPermutation};
use plonky2::iop::target::Target;
use plonky2::iop::wire::Wire;
use plonky2::iop::witness::{PartialWitness, PartitionWitness, Witness};
use plonky2::plonk::circuit_data::CircuitData;
use plonky2::plonk::config::{GenericConfig, Hasher};
use plonky2::plonk::vars::EvaluationVarsBaseBatch;
use tally_protocol::hash::F;
use thiserror::Error;

use crate::builder::{Assertion, Builder, D};
use crate::witness::Staged;

/// What a selector holds in rows of other groups (Plonky2's `UNUSED_SELECTOR`).
const UNUSED_SELECTOR: u64 = u32::MAX as u64;
/// Rows evaluated together.
const BATCH: usize = 32;
/// Violations listed in a report.
const LISTED: usize = 16;

/// The hash of a commitment that nobody opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NullHash;

impl Hasher<F> for NullHash {
    const HASH_SIZE: usize = 32;
    type Hash = HashOut<F>;
    type Permutation = PoseidonPermutation<F>;

    fn hash_no_pad(_input: &[F]) -> Self::Hash {
        HashOut::ZERO
    }

    fn two_to_one(_left: Self::Hash, _right: Self::Hash) -> Self::Hash {
        HashOut::ZERO
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CheckConfig;

impl GenericConfig<D> for CheckConfig {
    type F = F;
    type FE = QuadraticExtension<F>;
    type Hasher = NullHash;
    type InnerHasher = PoseidonHash;
}

/// Why a witness is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A gate's constraint isn't zero on a row.
    Constraint {
        row: usize,
        gate: String,
        index: usize,
    },
    /// Two inputs, or an input and a lie, give different values to targets that are joined.
    Inputs { target: String },
    /// A generator contradicts a value (honest prover only).
    Conflict { target: String, generator: String },
    /// A generator never ran: it panicked, failed or waited for a value (honest prover only).
    NotRun { generator: String },
}

/// The list of violations, shortened.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{total} violations, among them {listed:?}")]
pub struct Refused {
    pub total: usize,
    pub listed: Vec<Violation>,
}

impl Refused {
    fn push(&mut self, violation: Violation) {
        self.total += 1;
        if self.listed.len() < LISTED {
            self.listed.push(violation);
        }
    }
}

/// A satisfying assignment.
#[derive(Clone, Debug)]
pub struct Accepted<'a> {
    witness: PartitionWitness<'a, F>,
    public_inputs: Vec<F>,
}

impl Accepted<'_> {
    pub fn get(&self, target: Target) -> F {
        self.witness.try_get_target(target).unwrap_or_default()
    }

    pub fn get_all(&self, targets: &[Target]) -> Vec<F> {
        targets.iter().map(|&target| self.get(target)).collect()
    }

    pub fn public_inputs(&self) -> &[F] {
        &self.public_inputs
    }
}

/// One constraint of a gate type, to be left out in a mutation test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateConstraint {
    /// The gates whose id begins so.
    pub gate: String,
    pub index: usize,
}

/// A circuit to check witnesses against.
pub struct Checker {
    circuit: CircuitData<F, CheckConfig, D>,
    /// Rows of each gate of `circuit.common.gates`.
    rows: Vec<Vec<usize>>,
    /// Constants by column, then row; selectors left out.
    constants: Vec<Vec<F>>,
    used_rows: usize,
    /// Of the dropped assertion, if any (`Builder::dropping`).
    flows: Vec<(Target, Target)>,
    /// Whether zeros flow instead.
    severed: bool,
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checker({} rows)", self.used_rows)
    }
}

impl Checker {
    pub fn new(builder: Builder) -> Self {
        let flows = builder.flows().to_vec();
        let mut builder = builder.into_inner();
        let used_rows = builder.num_gates();
        builder.config.security_bits = 0;
        builder.config.fri_config.cap_height = 0;
        builder.config.fri_config.reduction_strategy = FriReductionStrategy::Fixed(Vec::new());
        let circuit = builder.build::<CheckConfig>();
        let common = &circuit.common;
        let columns: Vec<Vec<F>> = circuit.prover_only.constants_sigmas_commitment.polynomials
            [common.constants_range()]
        .iter()
        .map(|polynomial| polynomial.clone().fft().values)
        .collect();
        let selectors = common.selectors_info.num_selectors();
        let mut rows = vec![Vec::new(); common.gates.len()];
        for row in 0..common.degree() {
            let gate = columns[..selectors]
                .iter()
                .map(|column| column[row].to_canonical_u64())
                .find(|&value| value != UNUSED_SELECTOR)
                .expect("each row has a gate");
            rows[gate as usize].push(row);
        }
        let constants = columns[selectors + common.num_lookup_selectors..].to_vec();
        Self {
            circuit,
            rows,
            constants,
            used_rows,
            flows,
            severed: false,
        }
    }

    /// Rows before the public inputs' hash, constants and padding.
    pub fn used_rows(&self) -> usize {
        self.used_rows
    }

    /// The honest prover: hints run and must agree.
    pub fn check(&self, inputs: &PartialWitness<F>) -> Result<Accepted<'_>, Refused> {
        self.run(inputs, &[], None, true)
    }

    /// The dishonest prover: `lies` are set first and kept, hints that disagree are ignored.
    pub fn check_with_lies(
        &self,
        inputs: &PartialWitness<F>,
        lies: &[(Target, F)],
    ) -> Result<Accepted<'_>, Refused> {
        self.run(inputs, lies, None, false)
    }

    /// As `check_with_lies`, with one constraint of a gate left out.
    pub fn check_without(
        &self,
        inputs: &PartialWitness<F>,
        lies: &[(Target, F)],
        dropped: &GateConstraint,
    ) -> Result<Accepted<'_>, Refused> {
        self.run(inputs, lies, Some(dropped), false)
    }

    fn run(
        &self,
        inputs: &PartialWitness<F>,
        lies: &[(Target, F)],
        dropped: Option<&GateConstraint>,
        honest: bool,
    ) -> Result<Accepted<'_>, Refused> {
        let mut refused = Refused {
            total: 0,
            listed: Vec::new(),
        };
        let witness = self.witness(inputs, lies, honest, &mut refused);
        let public_inputs: Vec<F> = self
            .circuit
            .prover_only
            .public_inputs
            .iter()
            .map(|&target| witness.try_get_target(target).unwrap_or_default())
            .collect();
        let public_inputs_hash = PoseidonHash::hash_no_pad(&public_inputs);
        self.evaluate(&witness, &public_inputs_hash, dropped, &mut refused);
        if refused.total == 0 {
            Ok(Accepted {
                witness,
                public_inputs,
            })
        } else {
            Err(refused)
        }
    }

    fn witness(
        &self,
        inputs: &PartialWitness<F>,
        lies: &[(Target, F)],
        honest: bool,
        refused: &mut Refused,
    ) -> PartitionWitness<'_, F> {
        let disagree = |target: Target| Violation::Inputs {
            target: format!("{target:?}"),
        };
        let mut staged = Staged::new(&self.circuit.prover_only, &self.circuit.common);
        for &(target, value) in lies {
            if staged.set(target, value).is_err() {
                refused.push(disagree(target));
            }
        }
        // An input may be replaced by a lie about the same target; otherwise all must agree.
        let lied: HashSet<Target> = lies.iter().map(|&(target, _)| target).collect();
        for (&target, &value) in &inputs.target_values {
            if !lied.contains(&target) && staged.set(target, value).is_err() {
                refused.push(disagree(target));
            }
        }
        let mut conflict = |target: Target, generator: &str| {
            if honest {
                let (target, generator) = (format!("{target:?}"), generator.to_owned());
                refused.push(Violation::Conflict { target, generator });
            }
        };
        staged.run(&mut conflict);
        // What a dropped assertion no longer carries flows by itself where nobody says otherwise.
        while let Some((to, value)) = self.flows.iter().find_map(|&(from, to)| {
            let open = staged.get(to).is_err();
            staged
                .get(from)
                .ok()
                .filter(|_| open)
                .map(|value| (to, value))
        }) {
            let value = if self.severed { F::ZERO } else { value };
            let _ = staged.set(to, value);
            staged.run(&mut conflict);
        }
        if honest {
            for generator in staged.not_run() {
                refused.push(Violation::NotRun { generator });
            }
        }
        staged.into_inner()
    }

    fn evaluate(
        &self,
        witness: &PartitionWitness<F>,
        public_inputs_hash: &HashOut<F>,
        dropped: Option<&GateConstraint>,
        refused: &mut Refused,
    ) {
        for (gate, rows) in self.circuit.common.gates.iter().zip(&self.rows) {
            let id = gate.0.id();
            let dropped = dropped.filter(|d| id.starts_with(&d.gate)).map(|d| d.index);
            if gate.0.num_constraints() == 0 {
                continue;
            }
            for batch in rows.chunks(BATCH) {
                let wires: Vec<F> = (0..gate.0.num_wires())
                    .flat_map(|column| {
                        batch.iter().map(move |&row| {
                            let target = Target::Wire(Wire { row, column });
                            witness.try_get_target(target).unwrap_or_default()
                        })
                    })
                    .collect();
                let constants: Vec<F> = self
                    .constants
                    .iter()
                    .flat_map(|column| batch.iter().map(|&row| column[row]))
                    .collect();
                let vars = EvaluationVarsBaseBatch::new(
                    batch.len(),
                    &constants,
                    &wires,
                    public_inputs_hash,
                );
                let values = gate.0.eval_unfiltered_base_batch(vars);
                for (index, column) in values.chunks(batch.len()).enumerate() {
                    for (&row, value) in batch.iter().zip(column) {
                        if *value != F::ZERO && dropped != Some(index) {
                            refused.push(Violation::Constraint {
                                row,
                                gate: id.clone(),
                                index,
                            });
                        }
                    }
                }
            }
        }
    }
}

/// A witness that must be refused: inputs, and lies in the place of hints.
#[derive(Clone, Debug)]
pub struct Attack {
    pub name: &'static str,
    pub inputs: PartialWitness<F>,
    pub lies: Vec<(Target, F)>,
}

impl Attack {
    pub fn new(name: &'static str, inputs: PartialWitness<F>, lies: &[(Target, F)]) -> Self {
        Self {
            name,
            inputs,
            lies: lies.to_vec(),
        }
    }
}

/// Every attack is refused, and for each assertion that is left out some attack passes: no
/// constraint is missing from the tests, and none is idle.
pub fn assert_each_assertion_needed<T>(
    build: impl Fn(&mut Builder) -> T,
    attacks: impl Fn(&T) -> Vec<Attack>,
) {
    let mut builder = Builder::new();
    let targets = build(&mut builder);
    let assertions = builder.assertions().to_vec();
    let checker = Checker::new(builder);
    for attack in attacks(&targets) {
        let verdict = checker.check_with_lies(&attack.inputs, &attack.lies);
        assert!(verdict.is_err(), "the attack '{}' passes", attack.name);
    }
    for (index, Assertion { location, .. }) in assertions.iter().enumerate() {
        let mut builder = Builder::dropping(index);
        let targets = build(&mut builder);
        let mut checker = Checker::new(builder);
        let attacks = attacks(&targets);
        // Across the missing link goes the honest value, or a zero.
        let noticed = [false, true].into_iter().any(|severed| {
            checker.severed = severed;
            let passes = |a: &Attack| checker.check_with_lies(&a.inputs, &a.lies).is_ok();
            attacks.iter().any(passes)
        });
        assert!(
            noticed,
            "no attack needs assertion {index} of {}, at {location}",
            assertions.len()
        );
    }
}

/// The same for the constraints inside a custom gate.
pub fn assert_each_gate_constraint_needed<T>(
    gate: &str,
    build: impl Fn(&mut Builder) -> T,
    attacks: impl Fn(&T) -> Vec<Attack>,
) {
    let mut builder = Builder::new();
    let targets = build(&mut builder);
    let checker = Checker::new(builder);
    let attacks = attacks(&targets);
    for attack in &attacks {
        let verdict = checker.check_with_lies(&attack.inputs, &attack.lies);
        assert!(verdict.is_err(), "the attack '{}' passes", attack.name);
    }
    let constraints = checker.circuit.common.gates.iter();
    let constraints = constraints
        .filter(|g| g.0.id().starts_with(gate))
        .map(|g| g.0.num_constraints())
        .max()
        .expect("the gate is used");
    for index in 0..constraints {
        let dropped = GateConstraint {
            gate: gate.to_owned(),
            index,
        };
        let noticed = attacks.iter().any(|attack| {
            checker
                .check_without(&attack.inputs, &attack.lies, &dropped)
                .is_ok()
        });
        assert!(noticed, "no attack needs constraint {index} of {gate}");
    }
}

#[cfg(test)]
mod tests {
    use plonky2::iop::witness::WitnessWrite;
    use std::panic::catch_unwind;

    use super::*;

    fn square(b: &mut Builder) -> (Target, Target) {
        let x = b.add_virtual_target();
        let y = b.add_virtual_public_input();
        let product = b.mul(x, x);
        b.connect(product, y);
        (x, y)
    }

    fn given(values: &[(Target, u64)]) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        for &(target, value) in values {
            witness
                .set_target(target, F::from_canonical_u64(value))
                .unwrap();
        }
        witness
    }

    #[test]
    fn accepts_an_honest_witness_and_tells_its_values() {
        let mut b = Builder::new();
        let (x, y) = square(&mut b);
        let checker = Checker::new(b);
        let accepted = checker.check(&given(&[(x, 3)])).unwrap();
        assert_eq!(accepted.get(y), F::from_canonical_u64(9));
        assert_eq!(accepted.public_inputs(), [F::from_canonical_u64(9)]);
    }

    #[test]
    fn refuses_a_wrong_output_by_the_gate_that_computes_it() {
        let mut b = Builder::new();
        let (x, y) = square(&mut b);
        let checker = Checker::new(b);
        let refused = checker
            .check_with_lies(&given(&[(x, 3), (y, 10)]), &[])
            .unwrap_err();
        assert_eq!(refused.total, 1);
        assert!(matches!(&refused.listed[0],
            Violation::Constraint { gate, .. } if gate.starts_with("ArithmeticGate")));
        let lies = [(y, F::from_canonical_u64(10))];
        assert!(checker.check_with_lies(&given(&[(x, 3)]), &lies).is_err());
        assert!(checker.check(&given(&[(x, 3), (y, 10)])).is_err());
    }

    #[test]
    fn tells_hints_that_never_ran_and_inputs_that_disagree() {
        let mut b = Builder::new();
        let (x, _) = square(&mut b);
        let z = b.add_virtual_target();
        b.connect(x, z);
        let checker = Checker::new(b);
        let refused = checker.check(&PartialWitness::new()).unwrap_err();
        assert!(
            refused
                .listed
                .iter()
                .any(|v| matches!(v, Violation::NotRun { .. }))
        );
        let refused = checker
            .check_with_lies(&given(&[(x, 3), (z, 4)]), &[])
            .unwrap_err();
        assert!(
            refused
                .listed
                .iter()
                .any(|v| matches!(v, Violation::Inputs { .. }))
        );
    }

    #[test]
    fn a_missing_assertion_is_noticed_and_an_idle_one_too() {
        let attacks = |&(x, y): &(Target, Target)| {
            vec![Attack::new("9 for 10", given(&[(x, 3), (y, 10)]), &[])]
        };
        assert_each_assertion_needed(square, attacks);
        let idle = |b: &mut Builder| {
            let targets = square(b);
            b.connect(targets.0, targets.0);
            targets
        };
        assert!(catch_unwind(|| assert_each_assertion_needed(idle, attacks)).is_err());
    }

    #[test]
    fn a_gates_constraint_can_be_left_out() {
        let mut b = Builder::new();
        let (x, y) = square(&mut b);
        let checker = Checker::new(b);
        let witness = given(&[(x, 3), (y, 10)]);
        let other = GateConstraint {
            gate: "ArithmeticGate".into(),
            index: 1,
        };
        assert!(checker.check_without(&witness, &[], &other).is_err());
        let it = GateConstraint {
            gate: "ArithmeticGate".into(),
            index: 0,
        };
        assert!(checker.check_without(&witness, &[], &it).is_ok());
    }

    #[test]
    fn a_circuit_of_2_to_the_14_rows_is_checked() {
        let mut b = Builder::new();
        let first = b.add_virtual_hash();
        let mut digest = first;
        while b.rows() < (1 << 14) - 64 {
            let inputs = [digest.elements, first.elements].concat();
            digest = b.hash_n_to_hash_no_pad::<PoseidonHash>(inputs);
        }
        let checker = Checker::new(b);
        let mut witness = PartialWitness::new();
        witness.set_hash_target(first, HashOut::ZERO).unwrap();
        let accepted = checker.check(&witness).unwrap();
        assert_ne!(accepted.get_all(&digest.elements), [F::ZERO; 4]);
    }
}
