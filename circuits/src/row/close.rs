//! Twin of `tally_protocol::close`: rows′ → rows″ [T8].

use plonky2::iop::target::{BoolTarget, Target};

use super::numbers::is_lt;
use super::shift::magnitude;
use super::state::RowTarget;
use crate::bus::BusTag;
use crate::gadgets::{logic, range};
use crate::segment::SegmentBuilder;

/// What the ledger did to a row.
#[derive(Clone, Copy, Debug)]
pub struct CloseTarget {
    /// Changes of the totals, long and short: sums that the ledger keeps under the id.
    pub totals: [Target; 2],
    /// The row's insurance account was opened; its lots at the end.
    pub opened: BoolTarget,
    pub insurance_size: Target,
}

impl CloseTarget {
    /// Statement, if `live`: the totals change by the ledger's sums and stay within
    /// 0..=max_open_interest; the inventory is what the insurance account says that it now holds,
    /// which it must say where it held any [Q6].
    /// The true sums are below 2^62 [P4]: 2^27 words of the bus hold fewer than 2^23 changes of
    /// less than 2^36 lots. Cost: 13 rows with its three tuples.
    pub fn apply(s: &mut SegmentBuilder, row: &RowTarget, live: BoolTarget) -> (RowTarget, Self) {
        let close = Self {
            totals: s.add_virtual_target_arr(),
            opened: s.add_virtual_bool_target_safe(),
            insurance_size: s.add_virtual_target(),
        };
        let [open_long, open_short] = close.totals(s, row, live);
        close.inventory(s, row, live);
        let since = close.since(s, row);
        let after = row
            .with_open_long(open_long)
            .with_open_short(open_short)
            .with_insurance_size(close.insurance_size)
            .with_insurance_since(since);
        (after, close)
    }

    fn totals(&self, s: &mut SegmentBuilder, row: &RowTarget, live: BoolTarget) -> [Target; 2] {
        let (zero, id) = (s.zero(), row.params.id());
        let long_key = s.add(id, id);
        let one = s.one();
        let short_key = s.add(long_key, one);
        let most = row.params.max_open_interest();
        let sides = [
            (row.open_long(), long_key, self.totals[0]),
            (row.open_short(), short_key, self.totals[1]),
        ];
        sides.map(|(open, key, change)| {
            let amount = s.mul(live.target, change);
            s.take_sum(BusTag::Total, &[key], amount);
            let after = s.add(open, change);
            range::check_between(s, zero, after, most);
            after
        })
    }

    fn inventory(&self, s: &mut SegmentBuilder, row: &RowTarget, live: BoolTarget) {
        let (before, after) = (row.insurance_size(), self.insurance_size);
        let heard = s.and(live, self.opened);
        s.receive(BusTag::Inventory, &[row.params.id(), before, after], heard);
        let unheard = s.not(self.opened);
        for lots in [before, after] {
            let silent = s.mul(unheard.target, lots);
            s.assert_zero(silent);
        }
        let most = row.params.max_open_interest();
        let least = s.neg(most);
        range::check_between(s, least, after, most);
    }

    /// [Q6] The discount of an unwind runs anew for inventory that grew or changed its side.
    fn since(&self, s: &mut SegmentBuilder, row: &RowTarget) -> Target {
        let epoch = s.context.epoch;
        let (before, was_short) = magnitude(s, row.insurance_size());
        let (after, is_short) = magnitude(s, self.insurance_size);
        let grew = is_lt(s, before, after);
        // From nothing to a short is growth anyway, so only what is nothing afterwards is no flip.
        let kept = logic::is_equal(s, was_short.target, is_short.target);
        let nothing = logic::is_zero(s, after);
        let stays = s.or(kept, nothing);
        let flipped = s.not(stays);
        let renewed = s.or(grew, flipped);
        logic::select(s, renewed, epoch, row.insurance_since())
    }
}
