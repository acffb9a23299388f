//! A full block: any account, any posting. What a plain block does, and around it leaves that are
//! made, flags, liquidation, absorption, system accounts and refusals.

use plonky2::hash::hash_types::HashOutTarget;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::account::Keys;
use tally_protocol::bounds::BRIDGE_ACCOUNTS;
use tally_protocol::hash::unsigned;
use tally_protocol::instrument::MarginRow;
use tally_protocol::posting::{Needs, Refusal};

use super::LedgerShape;
use super::apply::Step;
use super::block::{BlockTarget, Ended, Thread, mask, read_row};
use super::close_full::{AtMostTarget, close_full};
use super::leaf::KeysTarget;
use super::needs::NeedsTarget;
use super::open::Opened;
use super::opening::Opening;
use super::refusal::Refused;
use super::running::RunningTarget;
use super::special::{SOLE_NEEDS, Special};
use super::witness::default_leaf;
use crate::bus::BusTag;
use crate::gadgets::logic;
use crate::instrument::MarginRowTarget;
use crate::segment::SegmentBuilder;
use crate::{Builder, F};

/// A full block's further inputs.
#[derive(Clone, Debug)]
pub(super) struct FullBlock {
    pub exists: BoolTarget,
    /// Keys that the block's postings set, if any does.
    pub new_keys: KeysTarget,
    /// The row of a refused item's instrument; row 0 where nothing is refused.
    pub named_row: MarginRowTarget,
}

impl FullBlock {
    pub fn new(s: &mut SegmentBuilder, live: BoolTarget) -> Self {
        Self {
            exists: s.add_virtual_bool_target_safe(),
            new_keys: KeysTarget::new_unchecked(s),
            named_row: read_row(s, live),
        }
    }

    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        exists: bool,
        new_keys: &Keys,
        named_row: &MarginRow,
    ) -> anyhow::Result<()> {
        witness.set_bool_target(self.exists, exists)?;
        self.new_keys.assign(witness, new_keys)?;
        self.named_row.assign(witness, named_row)
    }
}

/// What the first posting, which may be its account's only one, leaves to the close.
struct First {
    absorbed: BoolTarget,
    at_most: AtMostTarget,
}

pub(super) fn run_full(
    s: &mut SegmentBuilder,
    shape: &LedgerShape,
    block: &BlockTarget,
    full: &FullBlock,
    opened: &Opened,
    thread: &mut Thread,
) -> Ended {
    let leaf = leaf_before(s, block, full);
    let opening = Opening::new(
        s,
        full.exists,
        &block.before,
        &block.path,
        &opened.places,
        opened.cash,
    );
    show_vault(s, block);
    let fresh = opened.running(s, &block.before, full.exists, opening.isolated);
    let mut running = block.take_over(s, shape, thread, fresh);
    let new_keys_digest = full.new_keys.digest(s).elements;
    let mut first = None;
    for (i, unit) in block.units.iter().enumerate() {
        let serves = |need: Needs| i == 0 || !SOLE_NEEDS.contains(&need);
        let needs = NeedsTarget::new(s, unit.posting.needs, serves);
        if i == 0 {
            check_sole(s, block, &needs, thread.continued);
        }
        let refused = needs.has(Needs::REFUSED);
        // A refused item needs nothing of what it asked for.
        let left = needs.clear_if(s, refused, &[Needs::SOLE]);
        let mut step = Step::new(s, unit, opened, needs, &running);
        let none = s._false();
        let refusal = (i == 0).then(|| Refused::new(s, &step, full.named_row));
        step.needs = left;
        let special = Special {
            opening: &opening,
            epoch: s.context.epoch,
            new_keys: &full.new_keys,
            new_keys_digest,
            refused,
            refused_owner: refusal
                .as_ref()
                .map_or(none, |refusal| refusal.names(Refusal::Owner)),
        };
        if let Some(refusal) = refusal {
            let differs = owner_differs(s, &step, &running);
            refusal.check(s, &step, &opening, differs, running.generation);
        }
        let absorbed = apply(s, &step, &special, i == 0, &mut running);
        if let Some(absorbed) = absorbed {
            let at_most = AtMostTarget::new(s, &step);
            first = Some(First { absorbed, at_most });
        }
    }
    let First { absorbed, at_most } = first.expect("a block has room for a posting");
    let closes = block.closes(s);
    let closed = close_full(
        s, shape, closes, opened, &opening, &running, absorbed, &at_most,
    );
    let ended = Ended {
        closed,
        running,
        closes,
    };
    block.replace_leaf(s, leaf, &ended, thread);
    emit(s, block, &opening, &ended, opened, absorbed);
    ended
}

/// [Q6] The quote bridge's leaf shows the vault (docs/decisions.md, D20): whoever reads the vault
/// posts to this account.
fn show_vault(s: &mut SegmentBuilder, block: &BlockTarget) {
    let bridge = s.constant(unsigned(BRIDGE_ACCOUNTS.into()));
    let named = logic::is_equal(s, block.id, bridge);
    let shows = s.and(named, block.live);
    let owed = s.neg(block.before.money.cash);
    let vault = s.context.vault;
    s.conditional_assert_eq(shows.target, vault, owed);
}

/// One posting, in the native order. What is absorbed, of the first.
fn apply(
    s: &mut SegmentBuilder,
    step: &Step<'_>,
    special: &Special<'_>,
    is_first: bool,
    running: &mut RunningTarget,
) -> Option<BoolTarget> {
    step.follow(s, running);
    step.open_aux(s, special);
    step.check_leaf(s, special, running);
    step.authorise(s, running);
    step.raise_flag(s, special, running);
    step.check_fixed(s);
    step.change_size(s, running);
    step.liquidate(s, special, running);
    let absorbed = is_first.then(|| step.absorb(s, special.opening, running));
    step.change_cash(s, running);
    step.change_keys(s, special, running);
    step.record(s, running);
    step.record_special(s, special, running);
    absorbed
}

/// [S2] An empty leaf's digest is 0 and it is never opened: what stands for it is the default leaf.
fn leaf_before(b: &mut Builder, block: &BlockTarget, full: &FullBlock) -> HashOutTarget {
    let digest = block.before.digest(b);
    let default = b.constant_hash(default_leaf().digest());
    let missing = b.not(full.exists);
    let applies = b.and(block.live, missing);
    logic::assert_digests_equal_if(b, applies, &digest.elements, &default.elements);
    mask(b, full.exists, digest)
}

/// [J4], [Q5] A sole posting is the account's first and last.
fn check_sole(b: &mut Builder, block: &BlockTarget, needs: &NeedsTarget, continued: BoolTarget) {
    let sole = needs.has(Needs::SOLE);
    for need in [Needs::ABSORB, Needs::REFUSED, Needs::AT_MOST] {
        logic::assert_implies(b, needs.has(need), sole);
    }
    let second = block.units.get(1).map(|unit| unit.live);
    for other in [Some(block.continues), Some(continued), second]
        .into_iter()
        .flatten()
    {
        let beside = b.and(sole, other);
        b.assert_zero(beside.target);
    }
}

/// `aux` names another owner than the leaf's. Cost: 9 operations.
fn owner_differs(b: &mut Builder, step: &Step<'_>, running: &RunningTarget) -> BoolTarget {
    let mut same = b._true();
    for (x, y) in step.unit.aux[..3].iter().zip(running.leaf.owner) {
        let equal = logic::is_equal(b, *x, y);
        same = b.and(same, equal);
    }
    b.not(same)
}

/// Totals but for bridges [T8], insurance's inventory, and the group's share [Q6].
fn emit(
    s: &mut SegmentBuilder,
    block: &BlockTarget,
    opening: &Opening,
    ended: &Ended,
    opened: &Opened,
    absorbed: BoolTarget,
) {
    let inside = s.not(opening.bridge);
    let counts = s.and(ended.closes, inside);
    block.emit_totals(s, counts, ended);
    let insurance = s.and(ended.closes, opening.insurance);
    for (place, end) in opened.places.iter().zip(&ended.running.places) {
        let before = s.sub(place.long, place.short);
        let none = logic::is_zero(s, end.size);
        let some = s.not(none);
        let lots = s.or(place.held, some);
        let live = s.and(insurance, lots);
        s.send(BusTag::Inventory, &[place.row.id, before, end.size], live);
    }
    let absorbed = s.and(ended.closes, absorbed);
    let group: Target = s.or(insurance, absorbed).target;
    for slot in &block.before.money.slots {
        let lots = s.mul(group, slot.size);
        s.add_to(BusTag::Group, &[slot.key], lots);
    }
    let equity = s.mul(group, opening.equity_before_shift);
    s.add_to(BusTag::GroupEquity, &[], equity);
}
