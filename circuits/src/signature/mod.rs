//! Signatures: receives signature requests and verifies each (docs/segments/signature.md).
//!
//! Statement: each live unit takes one request (epoch, key, digest) off the bus, and *every* unit
//! verifies a signature of its request. So no bit can turn a verification off: a unit that is not
//! live holds a constant signature of its own.
//! Cost: 31 rows a request.

pub mod request;
pub mod verify;

use std::sync::LazyLock;

use plonky2::field::types::Field;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::hash::EMPTY;
use tally_protocol::message::SignatureRequest;
use tally_protocol::signature::{SecretKey, SignedRequest};

use crate::bus::BusTag;
use crate::gadgets::logic;
use crate::segment::{Segment, SegmentBuilder, SegmentKind};
use crate::{Builder, F};
use verify::SignatureTarget;

/// What a unit without a request holds: anybody can sign this.
static IDLE: LazyLock<SignedRequest> = LazyLock::new(|| {
    let key = SecretKey::derive("tally idle signature unit", &[]);
    let request = SignatureRequest {
        key: key.public(),
        digest: EMPTY,
    };
    SignedRequest {
        request,
        signature: key.sign(EMPTY),
    }
});

/// A segment of signatures.
#[derive(Clone, Debug)]
pub struct SignatureSegment {
    pub segment: Segment,
    pub units: Vec<SignatureTarget>,
    /// Live units, the first ones.
    pub n: Target,
}

impl SignatureSegment {
    /// Units of the production circuit: what 2^14 rows hold.
    pub const CAPACITY: usize = 520;

    /// A circuit of `capacity` units.
    pub fn build(builder: Builder, capacity: usize) -> (Builder, Self) {
        let mut s = SegmentBuilder::over(builder, SegmentKind::Signature);
        let n = s.add_virtual_target();
        let live = logic::live_bits(&mut s, n, capacity);
        let epoch = s.context.epoch;
        let mut units = Vec::with_capacity(capacity);
        for &live in &live {
            let unit = SignatureTarget::verified(&mut s);
            s.receive(BusTag::Signature, &unit.request.words(epoch), live);
            units.push(unit);
        }
        let (builder, segment) = s.finish(&[n]);
        (builder, Self { segment, units, n })
    }

    pub fn capacity(&self) -> usize {
        self.units.len()
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        signed: &[SignedRequest],
    ) -> anyhow::Result<()> {
        anyhow::ensure!(
            signed.len() <= self.capacity(),
            "{} signatures in a segment of {}",
            signed.len(),
            self.capacity()
        );
        witness.set_target(self.n, F::from_canonical_usize(signed.len()))?;
        let signed = signed.iter().chain(core::iter::repeat(&*IDLE));
        for (unit, signed) in self.units.iter().zip(signed) {
            unit.assign(witness, signed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
