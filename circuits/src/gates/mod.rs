//! Custom gates, each of degree at most 5 so that selectors stay cheap.

pub mod bus;
pub mod curve;
pub mod ladder;
pub mod many;
pub mod points;
pub mod range;
pub mod ring;

use plonky2::gates::gate::GateRef;

use crate::{D, F};
use ladder::LadderGate;
use many::ManyGate;

/// Every custom gate, for the uniform gate set; a gate that is missing here cannot be used in a
/// segment.
pub fn custom() -> Vec<GateRef<F, D>> {
    vec![
        GateRef::new(range::RangeGate),
        GateRef::new(bus::LONG),
        GateRef::new(bus::SHORT),
        GateRef::new(ManyGate::<many::Bit>::new()),
        GateRef::new(ManyGate::<many::EqualIf>::new()),
        GateRef::new(ManyGate::<many::Select>::new()),
        GateRef::new(ManyGate::<many::IsZero>::new()),
        GateRef::new(ManyGate::<many::Bits>::new()),
        GateRef::new(points::PointsGate),
        GateRef::new(LadderGate::<ladder::Variable>::new()),
        GateRef::new(LadderGate::<ladder::Fixed>::new()),
    ]
}
