//! What a signature is asked for, as targets.

use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::message::SignatureRequest;

use crate::{Builder, F};

/// Twin of `SignatureRequest`.
#[derive(Clone, Copy, Debug)]
pub struct SignatureRequestTarget {
    pub key: [Target; 5],
    pub digest: [Target; 4],
}

impl SignatureRequestTarget {
    /// Free targets: the bus holds them to what was asked for.
    pub fn new_unchecked(b: &mut Builder) -> Self {
        Self {
            key: b.add_virtual_target_arr(),
            digest: b.add_virtual_target_arr(),
        }
    }

    /// Twin of `SignatureRequest::words`.
    pub fn words(&self, epoch: Target) -> [Target; 10] {
        let (k, d) = (self.key, self.digest);
        [epoch, k[0], k[1], k[2], k[3], k[4], d[0], d[1], d[2], d[3]]
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        value: &SignatureRequest,
    ) -> anyhow::Result<()> {
        witness.set_target_arr(&self.key, &value.key)?;
        witness.set_target_arr(&self.digest, &value.digest.elements)
    }
}
