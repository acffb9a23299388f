//! Twin of `tally_protocol::ledger::open`: what is noted when the leaf is opened [L2].

use plonky2::field::types::Field;
use plonky2::iop::target::{BoolTarget, Target};

use super::LedgerShape;
use super::leaf::AccountTarget;
use super::place::{PlaceTarget, open_places};
use super::running::{RunningLeaf, RunningPlace, RunningTarget, TakerTarget};
use crate::gadgets::range;
use crate::instrument::MarginRowTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// An opened leaf: its places and cash₀.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub places: Vec<PlaceTarget>,
    pub cash: Target,
}

impl Opened {
    /// Cost: 1 lane for `touched_at`, and the places'.
    pub fn new(
        s: &mut SegmentBuilder,
        shape: &LedgerShape,
        before: &AccountTarget,
        rows: &[MarginRowTarget],
    ) -> Self {
        let epoch = s.context.epoch;
        // [L1] by D1: a leaf tells when it was last opened.
        range::assert_lt(s, before.money.touched_at, epoch);
        let (places, cash) = open_places(s, &before.money, rows, shape.full);
        Self { places, cash }
    }

    /// A plain shape's account is a user's and carries no flag. Whether it is isolated.
    pub fn plain_kind(b: &mut Builder, before: &AccountTarget) -> BoolTarget {
        b.assert_zero(before.money.flagged_at);
        let isolated = BoolTarget::new_unsafe(before.rest.kind);
        b.assert_bool(isolated);
        isolated
    }

    /// The account as opened, before its first posting.
    pub fn running(
        &self,
        b: &mut Builder,
        before: &AccountTarget,
        exists: BoolTarget,
        isolated: BoolTarget,
    ) -> RunningTarget {
        let zero = b.zero();
        let place = |place: &PlaceTarget| RunningPlace {
            size: place.size,
            taken: place.held,
            base: place.size,
            charge: zero,
            charged: BoolTarget::new_unsafe(zero),
        };
        let none = b._false();
        RunningTarget {
            cash: self.cash,
            orders_root: before.rest.orders_root,
            nonce: before.rest.nonce,
            generation: before.rest.generation,
            last_index: b.constant(F::NEG_ONE),
            outflow: none,
            taker: TakerTarget {
                open: none,
                digest: b.constant_hash(Default::default()),
                filled: zero,
            },
            places: self.places.iter().map(place).collect(),
            leaf: RunningLeaf {
                exists,
                created: none,
                isolated,
                owner: before.owner,
                keys: before.keys,
                flagged_at: before.money.flagged_at,
                unpermitted: none,
                ordinary: none,
                liquidated: none,
                charged: zero,
            },
        }
    }
}
