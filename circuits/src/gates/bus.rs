//! Several terms of the bus in one row.
//!
//! Statement, over GF(p²) = F[X]/(X² − 7): sum_out = sum_in + Σ tᵢ over the lanes, where
//! tᵢ·(α − fpᵢ) = sign·mᵢ and fpᵢ = tag + β·wᵢ₀ + β²·wᵢ₁ + …; sign and tag are the row's constants.
//! A lane that isn't used has zeros for words and m, and then t = 0 (unless α = fp, see
//! `crate::bus`). Horner takes four words a step, with β², β³ and β⁴ as wires, so the degree is 2.
//!
//! `LONG` is for postings (three a row), `SHORT` for everything else (five a row).

use core::ops::Range;

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::packed::PackedField;
use plonky2::field::types::Field;
use plonky2::gates::gate::Gate;
use plonky2::gates::packed_util::PackedEvaluableBase;
use plonky2::gates::util::StridedConstraintConsumer;
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::iop::generator::{GeneratedValues, SimpleGenerator, WitnessGeneratorRef};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartitionWitness, Witness, WitnessWrite};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::plonk::vars::{
    EvaluationTargets, EvaluationVars, EvaluationVarsBaseBatch, EvaluationVarsBasePacked,
};
use plonky2::util::serialization::{Buffer, IoResult, Read, Write};

use crate::{D, Ext, F};

/// X² in GF(p²).
const NON_RESIDUE: u64 = 7;
/// Words that one step of Horner takes.
const STEP: usize = 4;
/// Wires that all lanes share: α, β, the sums before and after.
const SHARED: usize = 8;
/// β², β³, β⁴.
const POWERS: usize = 2 * (STEP - 1);

/// See the module's doc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusGate {
    pub lanes: usize,
    /// Words of a tuple; shorter ones are padded with zeros.
    pub words: usize,
}

pub const LONG: BusGate = BusGate {
    lanes: 3,
    words: 23,
};
pub const SHORT: BusGate = BusGate {
    lanes: 5,
    words: 13,
};

/// An element a + b·X by its coordinates, in any ring over the base field.
type Pair<T> = [T; 2];

fn add<P: PackedField>(x: Pair<P>, y: Pair<P>) -> Pair<P> {
    [x[0] + y[0], x[1] + y[1]]
}

fn sub<P: PackedField>(x: Pair<P>, y: Pair<P>) -> Pair<P> {
    [x[0] - y[0], x[1] - y[1]]
}

fn mul<P: PackedField>(x: Pair<P>, y: Pair<P>) -> Pair<P> {
    let seven = P::Scalar::from_canonical_u64(NON_RESIDUE);
    [x[0] * y[0] + x[1] * y[1] * seven, x[0] * y[1] + x[1] * y[0]]
}

impl BusGate {
    pub const WIRE_ALPHA: usize = 0;
    pub const WIRE_BETA: usize = 2;
    pub const WIRE_SUM_IN: usize = 4;
    pub const WIRE_SUM_OUT: usize = 6;

    pub const fn wire_word(&self, lane: usize, word: usize) -> usize {
        SHARED + lane * (self.words + 1) + word
    }

    pub const fn wire_multiplicity(&self, lane: usize) -> usize {
        self.wire_word(lane, self.words)
    }

    const fn steps(&self) -> usize {
        (self.words + 1).div_ceil(STEP)
    }

    /// β^power for 2 ≤ power ≤ 4.
    const fn wire_power(&self, power: usize) -> usize {
        self.wire_word(self.lanes, 0) + 2 * (power - 2)
    }

    const fn wire_step(&self, lane: usize, step: usize) -> usize {
        self.wire_power(2) + POWERS + lane * 2 * (self.steps() + 1) + 2 * step
    }

    const fn wire_term(&self, lane: usize) -> usize {
        self.wire_step(lane, self.steps())
    }

    const fn wires(&self) -> usize {
        self.wire_step(self.lanes, 0)
    }

    /// Coordinates constrained: powers, steps and terms, and the sum.
    const fn constraints(&self) -> usize {
        POWERS + self.lanes * 2 * (self.steps() + 1) + 2
    }

    /// Coefficients of the step, from β⁰ up: None is the tag, and places beyond the words are 0.
    fn step_words(&self, step: usize) -> Range<usize> {
        let first = STEP * (self.steps() - 1 - step);
        first..(first + STEP).min(self.words + 1)
    }

    /// The constraints over any ring, in the order of the wires that they define.
    fn constrain<P: PackedField>(
        &self,
        wire: impl Fn(usize) -> P,
        constant: impl Fn(usize) -> P,
        mut yield_constr: impl FnMut(P),
    ) {
        let pair = |column: usize| [wire(column), wire(column + 1)];
        let mut equal = |x: Pair<P>, y: Pair<P>| sub(x, y).map(&mut yield_constr);
        let beta = pair(Self::WIRE_BETA);
        let powers = [2, 3, 4].map(|power| pair(self.wire_power(power)));
        equal(mul(beta, beta), powers[0]);
        equal(mul(powers[0], beta), powers[1]);
        equal(mul(powers[0], powers[0]), powers[2]);
        let mut sum = pair(Self::WIRE_SUM_IN);
        for lane in 0..self.lanes {
            let mut fp = [P::ZEROS; 2];
            for step in 0..self.steps() {
                let mut next = mul(fp, powers[2]);
                for (i, word) in self.step_words(step).enumerate() {
                    let word = match word {
                        0 => constant(1),
                        _ => wire(self.wire_word(lane, word - 1)),
                    };
                    let weighted = match i {
                        0 => [word, P::ZEROS],
                        1 => beta.map(|b| b * word),
                        _ => powers[i - 2].map(|b| b * word),
                    };
                    next = add(next, weighted);
                }
                fp = pair(self.wire_step(lane, step));
                equal(next, fp);
            }
            let term = pair(self.wire_term(lane));
            let denominator = sub(pair(Self::WIRE_ALPHA), fp);
            let multiplicity = constant(0) * wire(self.wire_multiplicity(lane));
            equal(mul(term, denominator), [multiplicity, P::ZEROS]);
            sum = add(sum, term);
        }
        equal(sum, pair(Self::WIRE_SUM_OUT));
    }

    /// The values of the wires that the gate computes, in the order of its constraints, from those
    /// that it is given. `perturb` may change each as it is made, and what follows is computed from
    /// it (a test's way to break one constraint alone); it also gets the change that moves the
    /// constraint by one.
    fn fill(
        &self,
        given: impl Fn(usize) -> F,
        constants: &[F],
        mut perturb: impl FnMut(Ext, Ext) -> Ext,
    ) -> Vec<(usize, Ext)> {
        let ext = |column: usize| QuadraticExtension([given(column), given(column + 1)]);
        let mut filled = Vec::with_capacity(self.constraints() / 2);
        let mut put = |column: usize, value: Ext, unit: Ext| {
            let value = perturb(value, unit);
            filled.push((column, value));
            value
        };
        let beta = ext(Self::WIRE_BETA);
        let square = put(self.wire_power(2), beta * beta, Ext::ONE);
        let cube = put(self.wire_power(3), square * beta, Ext::ONE);
        let fourth = put(self.wire_power(4), square * square, Ext::ONE);
        let powers = [Ext::ONE, beta, square, cube];
        let mut sum = ext(Self::WIRE_SUM_IN);
        for lane in 0..self.lanes {
            let mut fp = Ext::ZERO;
            for step in 0..self.steps() {
                let mut next = fp * fourth;
                for (power, word) in powers.into_iter().zip(self.step_words(step)) {
                    let word = match word {
                        0 => constants[1],
                        _ => given(self.wire_word(lane, word - 1)),
                    };
                    next += power * Ext::from(word);
                }
                fp = put(self.wire_step(lane, step), next, Ext::ONE);
            }
            let inverse = (ext(Self::WIRE_ALPHA) - fp)
                .try_inverse()
                .unwrap_or_default();
            let multiplicity = constants[0] * given(self.wire_multiplicity(lane));
            let term = inverse * Ext::from(multiplicity);
            sum += put(self.wire_term(lane), term, inverse);
        }
        put(Self::WIRE_SUM_OUT, sum, Ext::ONE);
        filled
    }

    /// Columns that the gate is given.
    fn inputs(&self) -> impl Iterator<Item = usize> + use<> {
        (0..Self::WIRE_SUM_OUT).chain(SHARED..self.wire_word(self.lanes, 0))
    }
}

impl Gate<F, D> for BusGate {
    fn id(&self) -> String {
        format!(
            "TallyBusGate {{ lanes: {}, words: {} }}",
            self.lanes, self.words
        )
    }

    fn serialize(&self, dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        dst.write_usize(self.lanes)?;
        dst.write_usize(self.words)
    }

    fn deserialize(src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self {
            lanes: src.read_usize()?,
            words: src.read_usize()?,
        })
    }

    fn eval_unfiltered(&self, vars: EvaluationVars<F, D>) -> Vec<Ext> {
        let mut constraints = Vec::with_capacity(self.constraints());
        self.constrain(
            |wire| vars.local_wires[wire],
            |constant| vars.local_constants[constant],
            |constraint: Ext| constraints.push(constraint),
        );
        constraints
    }

    fn eval_unfiltered_base_batch(&self, vars: EvaluationVarsBaseBatch<F>) -> Vec<F> {
        self.eval_unfiltered_base_batch_packed(vars)
    }

    fn eval_unfiltered_circuit(
        &self,
        builder: &mut CircuitBuilder<F, D>,
        vars: EvaluationTargets<D>,
    ) -> Vec<ExtensionTarget<D>> {
        Recursive {
            gate: *self,
            builder,
            vars,
            constraints: Vec::new(),
        }
        .constrain()
    }

    fn generators(&self, row: usize, constants: &[F]) -> Vec<WitnessGeneratorRef<F, D>> {
        let constants = [constants[0], constants[1]];
        let generator = BusGenerator {
            gate: *self,
            row,
            constants,
        };
        vec![WitnessGeneratorRef::new(generator.adapter())]
    }

    fn num_wires(&self) -> usize {
        self.wires()
    }

    fn num_constants(&self) -> usize {
        2
    }

    fn degree(&self) -> usize {
        2
    }

    fn num_constraints(&self) -> usize {
        self.constraints()
    }
}

impl PackedEvaluableBase<F, D> for BusGate {
    fn eval_unfiltered_base_packed<P: PackedField<Scalar = F>>(
        &self,
        vars: EvaluationVarsBasePacked<P>,
        mut yield_constr: StridedConstraintConsumer<P>,
    ) {
        self.constrain(
            |wire| vars.local_wires[wire],
            |constant| vars.local_constants[constant],
            |constraint| yield_constr.one(constraint),
        );
    }
}

/// `BusGate::constrain` in a circuit that verifies a proof.
struct Recursive<'a, 'b> {
    gate: BusGate,
    builder: &'a mut CircuitBuilder<F, D>,
    vars: EvaluationTargets<'b, D>,
    constraints: Vec<ExtensionTarget<D>>,
}

type PairTarget = Pair<ExtensionTarget<D>>;

impl Recursive<'_, '_> {
    fn pair(&self, column: usize) -> PairTarget {
        [
            self.vars.local_wires[column],
            self.vars.local_wires[column + 1],
        ]
    }

    /// x·y + z
    fn mul_add(&mut self, x: PairTarget, y: PairTarget, z: PairTarget) -> PairTarget {
        let b = &mut *self.builder;
        let seven = F::from_canonical_u64(NON_RESIDUE);
        let first = b.arithmetic_extension(seven, F::ONE, x[1], y[1], z[0]);
        let second = b.mul_add_extension(x[0], y[1], z[1]);
        [
            b.mul_add_extension(x[0], y[0], first),
            b.mul_add_extension(x[1], y[0], second),
        ]
    }

    /// x·word + z
    fn scale_add(&mut self, x: PairTarget, word: ExtensionTarget<D>, z: PairTarget) -> PairTarget {
        [0, 1].map(|i| self.builder.mul_add_extension(x[i], word, z[i]))
    }

    fn sub(&mut self, x: PairTarget, y: PairTarget) -> PairTarget {
        [0, 1].map(|i| self.builder.sub_extension(x[i], y[i]))
    }

    fn equal(&mut self, x: PairTarget, y: PairTarget) {
        let difference = self.sub(x, y);
        self.constraints.extend(difference);
    }

    fn constrain(mut self) -> Vec<ExtensionTarget<D>> {
        let gate = self.gate;
        let none = [self.builder.zero_extension(); 2];
        let beta = self.pair(BusGate::WIRE_BETA);
        let powers = [2, 3, 4].map(|power| self.pair(gate.wire_power(power)));
        for (x, y, product) in [
            (beta, beta, powers[0]),
            (powers[0], beta, powers[1]),
            (powers[0], powers[0], powers[2]),
        ] {
            let computed = self.mul_add(x, y, none);
            self.equal(computed, product);
        }
        let mut sum = self.pair(BusGate::WIRE_SUM_IN);
        for lane in 0..gate.lanes {
            let term = self.lane(lane, beta, powers);
            sum = [0, 1].map(|i| self.builder.add_extension(sum[i], term[i]));
        }
        let after = self.pair(BusGate::WIRE_SUM_OUT);
        self.equal(sum, after);
        self.constraints
    }

    fn lane(&mut self, lane: usize, beta: PairTarget, powers: [PairTarget; 3]) -> PairTarget {
        let gate = self.gate;
        let zero = self.builder.zero_extension();
        let mut fp = [zero; 2];
        for step in 0..gate.steps() {
            let mut next = self.mul_add(fp, powers[2], [zero; 2]);
            for (i, word) in gate.step_words(step).enumerate() {
                let word = match word {
                    0 => self.vars.local_constants[1],
                    _ => self.vars.local_wires[gate.wire_word(lane, word - 1)],
                };
                next = match i {
                    0 => [self.builder.add_extension(next[0], word), next[1]],
                    1 => self.scale_add(beta, word, next),
                    _ => self.scale_add(powers[i - 2], word, next),
                };
            }
            fp = self.pair(gate.wire_step(lane, step));
            self.equal(next, fp);
        }
        let term = self.pair(gate.wire_term(lane));
        let alpha = self.pair(BusGate::WIRE_ALPHA);
        let denominator = self.sub(alpha, fp);
        let product = self.mul_add(term, denominator, [zero; 2]);
        let multiplicity = self.vars.local_wires[gate.wire_multiplicity(lane)];
        let signed = self
            .builder
            .mul_extension(self.vars.local_constants[0], multiplicity);
        self.equal(product, [signed, zero]);
        term
    }
}

#[derive(Debug)]
struct BusGenerator {
    gate: BusGate,
    row: usize,
    constants: [F; 2],
}

impl SimpleGenerator<F, D> for BusGenerator {
    fn id(&self) -> String {
        "TallyBusGenerator".into()
    }

    fn dependencies(&self) -> Vec<Target> {
        self.gate
            .inputs()
            .map(|column| Target::wire(self.row, column))
            .collect()
    }

    fn run_once(
        &self,
        witness: &PartitionWitness<F>,
        out_buffer: &mut GeneratedValues<F>,
    ) -> anyhow::Result<()> {
        let given = |column| witness.get_target(Target::wire(self.row, column));
        for (column, value) in self.gate.fill(given, &self.constants, |value, _| value) {
            out_buffer.set_target(Target::wire(self.row, column), value.0[0])?;
            out_buffer.set_target(Target::wire(self.row, column + 1), value.0[1])?;
        }
        Ok(())
    }

    fn serialize(&self, dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        dst.write_usize(self.gate.lanes)?;
        dst.write_usize(self.gate.words)?;
        dst.write_usize(self.row)?;
        dst.write_field_vec(&self.constants)
    }

    fn deserialize(src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        let gate = BusGate {
            lanes: src.read_usize()?,
            words: src.read_usize()?,
        };
        let row = src.read_usize()?;
        let constants = src.read_field_vec(2)?;
        Ok(Self {
            gate,
            row,
            constants: [constants[0], constants[1]],
        })
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::extension::Extendable;
    use plonky2::field::types::Sample;
    use plonky2::gates::gate_testing::{test_eval_fns, test_low_degree};
    use plonky2::iop::witness::PartialWitness;

    use super::*;
    use crate::checker::{Attack, assert_each_gate_constraint_needed};
    use crate::{Builder, Config};

    const GATES: [BusGate; 2] = [LONG, SHORT];

    #[test]
    fn degree_is_low_and_wires_fit() {
        assert_eq!(<F as Extendable<D>>::W, F::from_canonical_u64(NON_RESIDUE));
        for gate in GATES {
            test_low_degree::<F, _, D>(gate);
            let config = crate::config();
            assert!(gate.wire_word(gate.lanes, 0) <= config.num_routed_wires);
            assert!(gate.wires() <= config.num_wires);
        }
    }

    #[test]
    fn evaluations_agree() {
        for gate in GATES {
            test_eval_fns::<F, Config, _, D>(gate).unwrap();
        }
    }

    /// Each computed coordinate is off by one and all that follows is computed from it, so that
    /// only its own constraint can notice.
    #[test]
    fn p3_every_constraint_is_needed() {
        for gate in GATES {
            let constants = vec![F::NEG_ONE, F::TWO];
            let build = |b: &mut Builder| b.add_gate(gate, constants.clone());
            let id = Gate::<F, D>::id(&gate);
            assert_each_gate_constraint_needed(&id, build, |&row| {
                let given = F::rand_vec(gate.wires());
                let inputs: Vec<(Target, F)> = gate
                    .inputs()
                    .map(|i| (Target::wire(row, i), given[i]))
                    .collect();
                let attack = |broken: usize| {
                    let mut made = 0;
                    let unit = |made: usize| {
                        QuadraticExtension(match broken {
                            _ if made != broken / 2 => [F::ZERO; 2],
                            _ if broken.is_multiple_of(2) => [F::ONE, F::ZERO],
                            _ => [F::ZERO, F::ONE],
                        })
                    };
                    let filled = gate.fill(
                        |i| given[i],
                        &constants,
                        |value, scale| {
                            made += 1;
                            value + unit(made - 1) * scale
                        },
                    );
                    let mut lies = inputs.clone();
                    for (column, value) in filled {
                        lies.push((Target::wire(row, column), value.0[0]));
                        lies.push((Target::wire(row, column + 1), value.0[1]));
                    }
                    Attack::new("coordinate", PartialWitness::new(), &lies)
                };
                (0..gate.constraints()).map(attack).collect()
            });
        }
    }
}
