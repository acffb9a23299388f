//! Four range checks of 62 bits in one row.
//!
//! Statement: per lane, value = low + 2^32·high with low < 2^32 and high < 2^30, in limbs of base
//! 4. A lane's `low` wire alone is a 32-bit check. Degree 4; 132 wires, of which 8 are routed; 132
//! constraints.

use core::ops::Range;

use plonky2::field::extension::Extendable;
use plonky2::field::packed::PackedField;
use plonky2::field::types::Field;
use plonky2::gates::gate::Gate;
use plonky2::gates::packed_util::PackedEvaluableBase;
use plonky2::gates::util::StridedConstraintConsumer;
use plonky2::hash::hash_types::RichField;
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

/// Checks in a row.
pub const LANES: usize = 4;
/// Bits of a lane's value, and of its low part.
pub const LANE_BITS: u32 = 62;
pub const LOW_BITS: u32 = 32;
const BASE: u64 = 4;
const LOW_LIMBS: usize = 16;
const LIMBS: usize = 31;

/// See the module's doc.
#[derive(Clone, Copy, Debug, Default)]
pub struct RangeGate;

impl RangeGate {
    pub const fn wire_value(lane: usize) -> usize {
        2 * lane
    }

    pub const fn wire_low(lane: usize) -> usize {
        2 * lane + 1
    }

    /// Which of the row's constraints are a lane's.
    pub const fn constraints(lane: usize) -> Range<usize> {
        (LIMBS + 2) * lane..(LIMBS + 2) * (lane + 1)
    }

    const fn wire_limb(lane: usize, limb: usize) -> usize {
        2 * LANES + LIMBS * lane + limb
    }

    /// The constraints over any ring: `wire` reads one, `yield_constr` takes one.
    fn constrain<P: PackedField>(wire: impl Fn(usize) -> P, mut yield_constr: impl FnMut(P)) {
        let base = P::Scalar::from_canonical_u64(BASE);
        let shift = P::Scalar::from_canonical_u64(1 << LOW_BITS);
        for lane in 0..LANES {
            let sum = |limbs: core::ops::Range<usize>| {
                limbs.rev().fold(P::ZEROS, |sum, limb| {
                    sum * base + wire(Self::wire_limb(lane, limb))
                })
            };
            let low = wire(Self::wire_low(lane));
            yield_constr(sum(0..LOW_LIMBS) - low);
            yield_constr(sum(LOW_LIMBS..LIMBS) * shift + low - wire(Self::wire_value(lane)));
            for limb in 0..LIMBS {
                let l = wire(Self::wire_limb(lane, limb));
                // l·(l − 1)·(l − 2)·(l − 3) with y = l² − 3l.
                let y = l * (l - P::Scalar::from_canonical_u64(3));
                yield_constr(y * (y + P::Scalar::TWO));
            }
        }
    }
}

impl<F: RichField + Extendable<D>, const D: usize> Gate<F, D> for RangeGate {
    fn id(&self) -> String {
        "TallyRangeGate".into()
    }

    fn serialize(&self, _dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        Ok(())
    }

    fn deserialize(_src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self)
    }

    fn eval_unfiltered(&self, vars: EvaluationVars<F, D>) -> Vec<F::Extension> {
        let mut constraints = Vec::with_capacity(LANES * (LIMBS + 2));
        Self::constrain(
            |wire| vars.local_wires[wire],
            |c: F::Extension| constraints.push(c),
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
        let base = builder.constant_extension(F::Extension::from_canonical_u64(BASE));
        let shift = builder.constant_extension(F::Extension::from_canonical_u64(1 << LOW_BITS));
        let mut constraints = Vec::with_capacity(LANES * (LIMBS + 2));
        for lane in 0..LANES {
            let limb = |i: usize| vars.local_wires[Self::wire_limb(lane, i)];
            let sum = |builder: &mut CircuitBuilder<F, D>, limbs: core::ops::Range<usize>| {
                let top = limb(limbs.end - 1);
                let rest = limbs.start..limbs.end - 1;
                rest.rev()
                    .fold(top, |sum, i| builder.mul_add_extension(sum, base, limb(i)))
            };
            let low_sum = sum(builder, 0..LOW_LIMBS);
            let high_sum = sum(builder, LOW_LIMBS..LIMBS);
            let low = vars.local_wires[Self::wire_low(lane)];
            let value = vars.local_wires[Self::wire_value(lane)];
            constraints.push(builder.sub_extension(low_sum, low));
            let whole = builder.mul_add_extension(high_sum, shift, low);
            constraints.push(builder.sub_extension(whole, value));
            for i in 0..LIMBS {
                let l = limb(i);
                let minus_three = -F::from_canonical_u64(3);
                let y = builder.arithmetic_extension(F::ONE, minus_three, l, l, l);
                constraints.push(builder.arithmetic_extension(F::ONE, F::TWO, y, y, y));
            }
        }
        constraints
    }

    fn generators(&self, row: usize, _constants: &[F]) -> Vec<WitnessGeneratorRef<F, D>> {
        (0..LANES)
            .map(|lane| WitnessGeneratorRef::new(LaneGenerator { row, lane }.adapter()))
            .collect()
    }

    fn num_wires(&self) -> usize {
        LANES * (2 + LIMBS)
    }

    fn num_constants(&self) -> usize {
        0
    }

    fn degree(&self) -> usize {
        BASE as usize
    }

    fn num_constraints(&self) -> usize {
        LANES * (2 + LIMBS)
    }
}

impl<F: RichField + Extendable<D>, const D: usize> PackedEvaluableBase<F, D> for RangeGate {
    fn eval_unfiltered_base_packed<P: PackedField<Scalar = F>>(
        &self,
        vars: EvaluationVarsBasePacked<P>,
        mut yield_constr: StridedConstraintConsumer<P>,
    ) {
        Self::constrain(
            |wire| vars.local_wires[wire],
            |constraint| yield_constr.one(constraint),
        );
    }
}

/// Splits a lane's value; of a value that is too large it keeps the low 62 bits, which the gate
/// then refuses.
#[derive(Debug, Default)]
struct LaneGenerator {
    row: usize,
    lane: usize,
}

impl<F: RichField + Extendable<D>, const D: usize> SimpleGenerator<F, D> for LaneGenerator {
    fn id(&self) -> String {
        "TallyRangeGenerator".into()
    }

    fn dependencies(&self) -> Vec<Target> {
        vec![Target::wire(self.row, RangeGate::wire_value(self.lane))]
    }

    fn run_once(
        &self,
        witness: &PartitionWitness<F>,
        out_buffer: &mut GeneratedValues<F>,
    ) -> anyhow::Result<()> {
        let value = witness.get_target(Target::wire(self.row, RangeGate::wire_value(self.lane)));
        let value = value.to_canonical_u64();
        let low = F::from_canonical_u64(value & ((1 << LOW_BITS) - 1));
        out_buffer.set_target(Target::wire(self.row, RangeGate::wire_low(self.lane)), low)?;
        for limb in 0..LIMBS {
            let digit = F::from_canonical_u64((value >> (2 * limb)) % BASE);
            let wire = RangeGate::wire_limb(self.lane, limb);
            out_buffer.set_target(Target::wire(self.row, wire), digit)?;
        }
        Ok(())
    }

    fn serialize(&self, dst: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        dst.write_usize(self.row)?;
        dst.write_usize(self.lane)
    }

    fn deserialize(src: &mut Buffer, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self {
            row: src.read_usize()?,
            lane: src.read_usize()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use plonky2::gates::gate_testing::{test_eval_fns, test_low_degree};
    use plonky2::iop::witness::PartialWitness;

    use super::*;
    use crate::checker::{Attack, assert_each_gate_constraint_needed};
    use crate::{Builder, Config};

    type F = crate::F;

    #[test]
    fn degree_is_low() {
        test_low_degree::<F, _, 2>(RangeGate);
    }

    #[test]
    fn evaluations_agree() {
        test_eval_fns::<F, Config, _, 2>(RangeGate).unwrap();
    }

    /// A lane's wires: value and low part as given, one limb as given and the others 0.
    fn lane(row: usize, lane: usize, value: u64, low: u64, limb: (usize, u64)) -> Attack {
        let wire = |column, number| (Target::wire(row, column), F::from_canonical_u64(number));
        let mut lies = vec![
            wire(RangeGate::wire_value(lane), value),
            wire(RangeGate::wire_low(lane), low),
        ];
        lies.extend((0..LIMBS).map(|i| {
            wire(
                RangeGate::wire_limb(lane, i),
                if i == limb.0 { limb.1 } else { 0 },
            )
        }));
        Attack::new("lane", PartialWitness::new(), &lies)
    }

    /// Each limb out of range with its sums right, and each sum off by one.
    #[test]
    fn every_constraint_is_needed() {
        let build = |b: &mut Builder| b.add_gate(RangeGate, vec![]);
        assert_each_gate_constraint_needed("TallyRangeGate", build, |&row| {
            let mut attacks = Vec::new();
            for number in 0..LANES {
                for limb in 0..LIMBS {
                    let value = (1u64 << (2 * limb)).wrapping_mul(4);
                    let low = if limb < LOW_LIMBS { value } else { 0 };
                    attacks.push(lane(row, number, value, low, (limb, 4)));
                }
                attacks.push(lane(row, number, 1, 1, (0, 0)));
                attacks.push(lane(row, number, 1, 0, (0, 0)));
            }
            attacks
        });
    }
}
