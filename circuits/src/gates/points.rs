//! The points of a signature: the key decoded and doubled, and the nonce's point as the difference
//! of the two products, in one row.
//!
//! Statement, over GF(p⁵): A = (x, y) with x = root², y = −w·x and −w·y = x² + 2x + b, so A is on
//! the curve and, x being a square, in the subgroup of order n; x = 0 and O satisfy none of it.
//! B = 2A by its tangent, whose slope is unique because y ≠ 0. For the points S and T:
//! (x_S − x_T)·inverse = 1 in the whole field, so the chord's slope is unique; S − T = (x_R, y_R)
//! and w_R·x_R = −y_R.
//! Assumes S and T in the subgroup; then x_R ≠ 0 and w_R is the one encoding of S − T.
//! Degree 3; 70 wires, of which 50 are routed; 45 constraints.

use plonky2::field::extension::quintic::QuinticExtension;
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

use super::curve::{self, Fp5};
use super::ring::{self, Ring, Values};
use crate::{D, Ext, F};

/// See the module's doc.
#[derive(Clone, Copy, Debug, Default)]
pub struct PointsGate;

impl PointsGate {
    /// w of the key.
    pub const WIRE_KEY: usize = 0;
    /// w_R.
    pub const WIRE_NONCE: usize = 5;
    pub const WIRE_S: usize = 10;
    pub const WIRE_T: usize = 20;
    pub const WIRE_A: usize = 30;
    /// 2A.
    pub const WIRE_DOUBLE: usize = 40;
    pub const WIRE_ROOT: usize = 50;
    const WIRE_TANGENT: usize = 55;
    pub const WIRE_INVERSE: usize = 60;
    pub const WIRE_CHORD: usize = 65;
    const WIRES: usize = 70;
    const CONSTRAINTS: usize = 45;

    #[inline(always)]
    fn constrain<R: Ring>(
        r: &mut R,
        wire: impl Fn(usize) -> R::Element,
        mut yield_constr: impl FnMut(R::Element),
    ) {
        let quintic = |column: usize| core::array::from_fn(|i| wire(column + i));
        let zero = ring::zero(r);
        let mut assert_zero = |value: ring::Quintic<R::Element>| {
            value.into_iter().for_each(&mut yield_constr);
        };
        let (w, x, y) = (
            quintic(Self::WIRE_KEY),
            quintic(Self::WIRE_A),
            quintic(Self::WIRE_A + 5),
        );
        let minus_x = ring::sub(r, zero, x);
        assert_zero(ring::square(r, 1, quintic(Self::WIRE_ROOT), minus_x));
        assert_zero(ring::product(r, 1, w, x, y));
        // x² + 2x + b + w·y
        let curve = ring::scale(r, curve::A, x, zero);
        let curve = ring::shift(r, curve, curve::B_Z as i64, 1);
        let curve = ring::square(r, 1, x, curve);
        assert_zero(ring::product(r, 1, w, y, curve));
        // 3x² + 4x + b − 2·tangent·y
        let tangent = quintic(Self::WIRE_TANGENT);
        let square = ring::square(r, 1, x, zero);
        let rise = ring::scale(r, 2 * curve::A, x, zero);
        let rise = ring::shift(r, rise, curve::B_Z as i64, 1);
        let rise = ring::scale(r, 3, square, rise);
        let twice = ring::scale(r, 2, y, zero);
        assert_zero(ring::product(r, -1, tangent, twice, rise));
        let (double_x, double_y) = (quintic(Self::WIRE_DOUBLE), quintic(Self::WIRE_DOUBLE + 5));
        let (third_x, third_y) = third(r, tangent, [x, y], x);
        assert_zero(ring::sub(r, third_x, double_x));
        assert_zero(ring::sub(r, third_y, double_y));
        let s = [quintic(Self::WIRE_S), quintic(Self::WIRE_S + 5)];
        let t = [quintic(Self::WIRE_T), quintic(Self::WIRE_T + 5)];
        let run = ring::sub(r, s[0], t[0]);
        let minus_one = ring::shift(r, zero, -1, 0);
        assert_zero(ring::product(
            r,
            1,
            quintic(Self::WIRE_INVERSE),
            run,
            minus_one,
        ));
        let chord = quintic(Self::WIRE_CHORD);
        let rise = ring::add(r, s[1], t[1]);
        let minus_rise = ring::sub(r, zero, rise);
        assert_zero(ring::product(r, 1, chord, run, minus_rise));
        let (x, y) = third(r, chord, s, t[0]);
        assert_zero(ring::product(r, 1, quintic(Self::WIRE_NONCE), x, y));
    }

    /// A, 2A, the root and the tangent's slope, from the key; zeros, which the gate refuses, where
    /// it is no point's.
    fn fill_key(given: impl Fn(usize) -> F) -> Vec<(usize, F)> {
        let w = QuinticExtension(core::array::from_fn(|i| given(Self::WIRE_KEY + i)));
        let (root, a) = curve::decode(w).unwrap_or_default();
        let twice = a.double();
        let points = (Self::WIRE_A..).zip([a.elements(), twice.elements()].concat());
        let slopes = (Self::WIRE_ROOT..).zip([root.0, a.tangent().0].concat());
        points.chain(slopes).collect()
    }

    /// The chord's inverse and slope, from S and T.
    fn fill_difference(given: impl Fn(usize) -> F) -> Vec<(usize, F)> {
        let quintic = |column: usize| QuinticExtension(core::array::from_fn(|i| given(column + i)));
        let run: Fp5 = quintic(Self::WIRE_S) - quintic(Self::WIRE_T);
        let rise = quintic(Self::WIRE_S + 5) + quintic(Self::WIRE_T + 5);
        let inverse = run.try_inverse().unwrap_or_default();
        let slopes = [inverse.0, (rise * inverse).0].concat();
        (Self::WIRE_INVERSE..).zip(slopes).collect()
    }
}

/// The third point of the line through (x, y) with this slope, and x₂; mirrored.
#[inline(always)]
fn third<R: Ring>(
    r: &mut R,
    slope: ring::Quintic<R::Element>,
    [x, y]: [ring::Quintic<R::Element>; 2],
    x_2: ring::Quintic<R::Element>,
) -> (ring::Quintic<R::Element>, ring::Quintic<R::Element>) {
    let sum = ring::add(r, x, x_2);
    let sum = ring::shift(r, sum, curve::A, 0);
    let zero = ring::zero(r);
    let minus = ring::sub(r, zero, sum);
    let third = ring::square(r, 1, slope, minus);
    let run = ring::sub(r, x, third);
    let minus = ring::sub(r, zero, y);
    (third, ring::product(r, 1, slope, run, minus))
}

impl Gate<F, D> for PointsGate {
    fn id(&self) -> String {
        "TallyPointsGate".into()
    }

    fn serialize(&self, _dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        Ok(())
    }

    fn deserialize(_src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self)
    }

    fn eval_unfiltered(&self, vars: EvaluationVars<F, D>) -> Vec<Ext> {
        let mut constraints = Vec::with_capacity(Self::CONSTRAINTS);
        Self::constrain(
            &mut Values::<Ext>::new(),
            |wire| vars.local_wires[wire],
            |constraint| constraints.push(constraint),
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
        let mut constraints = Vec::with_capacity(Self::CONSTRAINTS);
        Self::constrain(
            builder,
            |wire| vars.local_wires[wire],
            |constraint| constraints.push(constraint),
        );
        constraints
    }

    fn generators(&self, row: usize, _constants: &[F]) -> Vec<WitnessGeneratorRef<F, D>> {
        [Part::Key, Part::Difference]
            .into_iter()
            .map(|part| WitnessGeneratorRef::new(PointsGenerator { row, part }.adapter()))
            .collect()
    }

    fn num_wires(&self) -> usize {
        Self::WIRES
    }

    fn num_constants(&self) -> usize {
        0
    }

    fn degree(&self) -> usize {
        3
    }

    fn num_constraints(&self) -> usize {
        Self::CONSTRAINTS
    }
}

impl PackedEvaluableBase<F, D> for PointsGate {
    fn eval_unfiltered_base_packed<P: PackedField<Scalar = F>>(
        &self,
        vars: EvaluationVarsBasePacked<P>,
        mut yield_constr: StridedConstraintConsumer<P>,
    ) {
        Self::constrain(
            &mut Values::<P>::new(),
            |wire| vars.local_wires[wire],
            |constraint| yield_constr.one(constraint),
        );
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Key,
    Difference,
}

#[derive(Debug, Default)]
struct PointsGenerator {
    row: usize,
    part: Part,
}

impl SimpleGenerator<F, D> for PointsGenerator {
    fn id(&self) -> String {
        "TallyPointsGenerator".into()
    }

    fn dependencies(&self) -> Vec<Target> {
        let columns = match self.part {
            Part::Key => PointsGate::WIRE_KEY..PointsGate::WIRE_NONCE,
            Part::Difference => PointsGate::WIRE_S..PointsGate::WIRE_A,
        };
        columns
            .map(|column| Target::wire(self.row, column))
            .collect()
    }

    fn run_once(
        &self,
        witness: &PartitionWitness<F>,
        out_buffer: &mut GeneratedValues<F>,
    ) -> anyhow::Result<()> {
        let given = |column| witness.get_target(Target::wire(self.row, column));
        let filled = match self.part {
            Part::Key => PointsGate::fill_key(given),
            Part::Difference => PointsGate::fill_difference(given),
        };
        for (column, value) in filled {
            out_buffer.set_target(Target::wire(self.row, column), value)?;
        }
        Ok(())
    }

    fn serialize(&self, dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        dst.write_usize(self.row)?;
        dst.write_bool(self.part == Part::Difference)
    }

    fn deserialize(src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        let row = src.read_usize()?;
        let part = if src.read_bool()? {
            Part::Difference
        } else {
            Part::Key
        };
        Ok(Self { row, part })
    }
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::Sample;
    use plonky2::gates::gate_testing::{test_eval_fns, test_low_degree};
    use plonky2::iop::witness::PartialWitness;

    use super::*;
    use crate::checker::{Attack, Checker, assert_each_gate_constraint_needed};
    use crate::gates::curve::Affine;
    use crate::{Builder, Config};

    #[test]
    fn degree_is_low_and_wires_fit() {
        test_low_degree::<F, _, D>(PointsGate);
        let config = crate::config();
        assert!(PointsGate::WIRE_ROOT <= config.num_routed_wires);
        assert!(PointsGate::WIRES <= config.num_wires);
    }

    #[test]
    fn evaluations_agree() {
        test_eval_fns::<F, Config, _, D>(PointsGate).unwrap();
    }

    /// A row whose nine equations are off by `off`.
    fn row(row: usize, off: [Fp5; 9]) -> Attack {
        let (root, x, w) = loop {
            let root = Fp5::rand();
            let x = root * root - off[0];
            // x·w² − off₁·w − (x² + 2x + b − off₂) = 0, with y = off₁ − w·x.
            let constant = x * x + x + x + curve::b() - off[2];
            let four = Fp5::from_canonical_u64(4);
            if let Some(d) = curve::sqrt(off[1] * off[1] + four * x * constant) {
                break (root, x, (off[1] + d) / (x + x));
            }
        };
        let a = Affine {
            x,
            y: off[1] - w * x,
        };
        let slope = a.tangent() - off[3] / (a.y + a.y);
        let third_x = slope * slope - Fp5::TWO - x - x;
        let third_y = slope * (x - third_x) - a.y;
        let [sx, sy, tx, ty] = [(); 4].map(|()| Fp5::rand());
        let inverse = (Fp5::ONE + off[6]) / (sx - tx);
        let chord = (sy + ty + off[7]) / (sx - tx);
        let rx = chord * chord - Fp5::TWO - sx - tx;
        let ry = chord * (sx - rx) - sy;
        let w_r = (off[8] - ry) / rx;
        let double = [third_x - off[4], third_y - off[5]];
        let wires = [
            w, w_r, sx, sy, tx, ty, x, a.y, double[0], double[1], root, slope, inverse, chord,
        ];
        let values = wires.iter().flat_map(|value| value.0).enumerate();
        let lies: Vec<_> = values
            .map(|(column, value)| (Target::wire(row, column), value))
            .collect();
        Attack::new("row", PartialWitness::new(), &lies)
    }

    #[test]
    fn p3_every_constraint_is_needed() {
        let build = |b: &mut Builder| b.add_gate(PointsGate, vec![]);
        assert_each_gate_constraint_needed("TallyPointsGate", build, |&number| {
            let attack = |constraint: usize| {
                let mut off = [Fp5::ZERO; 9];
                off[constraint / 5].0[constraint % 5] = F::ONE;
                row(number, off)
            };
            (0..PointsGate::CONSTRAINTS).map(attack).collect()
        });
        let mut b = Builder::new();
        let number = build(&mut b);
        let honest = row(number, [Fp5::ZERO; 9]);
        assert!(
            Checker::new(b)
                .check_with_lies(&honest.inputs, &honest.lies)
                .is_ok()
        );
    }

    /// A divisor with zeros among its elements, and a divisor that is 0: the quotient is the one
    /// there is, or none.
    #[test]
    fn p3_a_quotient_is_of_the_whole_field() {
        let mut b = Builder::new();
        let number = b.add_gate(PointsGate, vec![]);
        let checker = Checker::new(b);
        let honest = row(number, [Fp5::ZERO; 9]);
        let column = |column: usize| Target::wire(number, column);
        let verdict = |run: Fp5, rise: Fp5, inverse: Fp5, chord: Fp5| {
            let mut lies: std::collections::HashMap<_, _> = honest.lies.iter().copied().collect();
            let get = |c: usize| QuinticExtension(core::array::from_fn(|i| lies[&column(c + i)]));
            let (sx, ty): (Fp5, Fp5) = (get(PointsGate::WIRE_S), get(PointsGate::WIRE_T + 5));
            let (tx, sy) = (sx - run, rise - ty);
            let rx = chord * chord - Fp5::TWO - sx - tx;
            let ry = chord * (sx - rx) - sy;
            let changes = [
                (PointsGate::WIRE_T, tx),
                (PointsGate::WIRE_S + 5, sy),
                (PointsGate::WIRE_INVERSE, inverse),
                (PointsGate::WIRE_CHORD, chord),
                (PointsGate::WIRE_NONCE, -ry / rx),
            ];
            for (first, value) in changes {
                for (i, element) in value.0.into_iter().enumerate() {
                    lies.insert(column(first + i), element);
                }
            }
            let lies: Vec<_> = lies.into_iter().collect();
            checker
                .check_with_lies(&PartialWitness::new(), &lies)
                .is_ok()
        };
        for places in 1u8..32 {
            let mut run = Fp5::rand();
            for (i, element) in run.0.iter_mut().enumerate() {
                if places >> i & 1 == 0 {
                    *element = F::ZERO;
                }
            }
            let rise = Fp5::rand();
            let (inverse, slope) = (run.try_inverse().unwrap(), rise / run);
            assert!(verdict(run, rise, inverse, slope));
            for i in 0..5 {
                let mut unit = Fp5::ZERO;
                unit.0[i] = F::ONE;
                assert!(!verdict(run, rise, inverse, slope + unit), "{places:b} {i}");
                assert!(!verdict(run, rise, inverse + unit, slope), "{places:b} {i}");
            }
        }
        // S = T mirrored: any slope fits, and no inverse.
        assert!(!verdict(Fp5::ZERO, Fp5::ZERO, Fp5::rand(), Fp5::rand()));
        assert!(!verdict(Fp5::ZERO, Fp5::ZERO, Fp5::ZERO, Fp5::rand()));
    }
}
