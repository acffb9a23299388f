//! Twin of `tally_protocol::message`: the digest of a signed message \[S5\].
//!
//! The frame is the same for all messages of a kind in a deployment, so a segment absorbs it once
//! and each message costs one permutation more.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::Target;
use tally_protocol::hash::unsigned;
use tally_protocol::message::{BODY_WORDS, FRAME_WORDS, MESSAGE_WORDS, MessageKind, VERSION};

use crate::context::GlobalsTarget;
use crate::gadgets::range;
use crate::hash::Sponge;
use crate::{Builder, F};

/// Twin of `Domain`: members of the epoch's context.
#[derive(Clone, Copy, Debug)]
pub struct DomainTarget {
    pub chain_id: Target,
    pub contract: [Target; 3],
    pub version: Target,
}

impl DomainTarget {
    /// The context's deployment, at the one version of messages that this circuit reads.
    pub fn of(b: &mut Builder, globals: &GlobalsTarget) -> Self {
        Self {
            chain_id: globals.chain_id,
            contract: globals.contract,
            version: b.constant(F::from_canonical_u32(VERSION)),
        }
    }

    /// Twin of `Domain::frame`.
    pub fn frame(&self, b: &mut Builder, kind: MessageKind) -> [Target; FRAME_WORDS] {
        let [c0, c1, c2] = self.contract;
        let zero = b.zero();
        let kind = b.constant(unsigned(kind as u64));
        [self.chain_id, c0, c1, c2, self.version, kind, zero, zero]
    }
}

/// The sponge after a kind's frame.
#[derive(Clone, Debug)]
pub struct MessageFrame {
    sponge: Sponge,
}

impl MessageFrame {
    /// Cost: 1 row.
    pub fn new(b: &mut Builder, domain: &DomainTarget, kind: MessageKind) -> Self {
        let mut sponge = Sponge::new(b, kind.tag(), MESSAGE_WORDS);
        let frame = domain.frame(b, kind);
        sponge.absorb(b, &frame);
        Self { sponge }
    }

    /// Twin of `Domain::digest`. Cost: 1 row.
    pub fn digest(&self, b: &mut Builder, body: &[Target; BODY_WORDS]) -> HashOutTarget {
        let mut sponge = self.sponge.clone();
        sponge.absorb(b, body);
        sponge.digest()
    }
}

/// Twin of `pack` for a high part that is any number, an account say: one word has one reading
/// because low < 2^32 and high < 2^30. Cost: 1 lane, 1 operation.
pub fn pack(b: &mut Builder, high: Target, low: Target) -> Target {
    let packed = join(b, high, low);
    let held = range::split_low(b, packed);
    b.connect(held, low);
    packed
}

/// Twin of `pack` for a high part that is known to be below 2^30, a sum of flags say.
/// Guarantees low < 2^32. Cost: 1 lane, 1 operation.
pub fn pack_flags(b: &mut Builder, flags: Target, low: Target) -> Target {
    range::check_32(b, low);
    join(b, flags, low)
}

/// Twin of `author`.
pub fn author(b: &mut Builder, account: Target, generation: Target) -> Target {
    pack(b, account, generation)
}

fn join(b: &mut Builder, high: Target, low: Target) -> Target {
    let one = b.one();
    b.arithmetic(F::from_canonical_u64(1 << 32), F::ONE, high, one, low)
}
