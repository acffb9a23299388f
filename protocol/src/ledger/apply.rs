//! Applying a posting: each `needs` bit is one check, in the order in which they stand here.

use crate::account::AccountKind;
use crate::bounds::{POSTING_CASH_BITS, SIZE_BITS, SLOTS};
use crate::instrument::{MarginRow, flags};
use crate::ledger::open::running_cash;
use crate::ledger::{AtMost, Env, Facts, LedgerError, Place, Running, is_within};
use crate::message::SignatureRequest;
use crate::posting::{Needs, Posting};
use crate::terms::{Aux, LeafTerms};

impl Running {
    /// \[L3\] One posting; what it asks to be signed comes back.
    pub fn apply(
        &mut self,
        posting: &Posting,
        facts: &Facts,
        env: &Env<'_>,
    ) -> Result<Option<SignatureRequest>, LedgerError> {
        self.follow(posting)?;
        if facts.aux.digest() != posting.aux {
            return Err(LedgerError::Aux);
        }
        if posting.needs.has(Needs::REFUSED) {
            self.check_refusal(posting, facts, env)?;
            return Ok(None);
        }
        self.check_leaf(posting, facts)?;
        let request = self.authorise(posting, facts, env)?;
        self.raise_flag(posting)?;
        let place = self.change_size(posting, env)?;
        self.liquidate(posting, facts, place)?;
        self.absorb(posting, facts)?;
        self.change_cash(posting)?;
        self.change_keys(posting, facts)?;
        self.record(posting, place);
        Ok(request)
    }

    /// \[L1\], \[J4\] The right account and epoch, a rising index, and nothing beside a sole
    /// posting.
    fn follow(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        let index = posting.index;
        if posting.account != self.id || posting.epoch != self.context.epoch {
            return Err(LedgerError::Misdirected {
                index,
                account: posting.account.0,
                epoch: posting.epoch,
            });
        }
        if let Some(last) = self.done.last_index.filter(|last| *last >= index) {
            return Err(LedgerError::Index { index, last });
        }
        let sole = posting.needs.has(Needs::SOLE);
        if self.done.postings > 0 && (sole || self.done.sole) {
            return Err(LedgerError::Sole { index });
        }
        self.done.sole |= sole;
        self.done.last_index = Some(index);
        self.done.postings = self.done.postings.saturating_add(1);
        Ok(())
    }

    /// \[S2\], \[S3\], \[S6\], \[J3\] The leaf is there, or is made, and is whose the posting says.
    fn check_leaf(&mut self, posting: &Posting, facts: &Facts) -> Result<(), LedgerError> {
        if posting.needs.has(Needs::CREATE) {
            self.create(facts)?;
        }
        if !self.exists {
            return Err(LedgerError::Missing);
        }
        if posting.needs.has(Needs::SYSTEM) != self.is_system() {
            return Err(LedgerError::System);
        }
        if posting.needs.has(Needs::OWNER) && leaf_terms(facts)?.owner != self.owner {
            return Err(LedgerError::Owner);
        }
        Ok(())
    }

    /// \[S3\] The default leaf but for owner, keys and kind.
    fn create(&mut self, facts: &Facts) -> Result<(), LedgerError> {
        let terms = leaf_terms(facts)?;
        if self.exists {
            return Err(LedgerError::Occupied);
        }
        if terms.kind == AccountKind::System {
            return Err(LedgerError::CreatedKind);
        }
        if facts.keys.digest() != terms.keys {
            return Err(LedgerError::Aux);
        }
        self.exists = true;
        self.created = true;
        self.owner = terms.owner;
        self.rest.keys = facts.keys;
        self.rest.kind = terms.kind;
        Ok(())
    }

    /// The slot by \[S2\] and D7, its bounds, and what may not grow: \[T6\], \[L3\].
    fn change_size(
        &mut self,
        posting: &Posting,
        env: &Env<'_>,
    ) -> Result<Option<usize>, LedgerError> {
        let delta = posting.delta_size;
        if delta == 0 {
            return Ok(None);
        }
        let row = env.rows.get(posting.instrument)?;
        if delta.unsigned_abs() > row.max_size {
            return Err(LedgerError::DeltaSize {
                delta,
                max_size: row.max_size,
            });
        }
        let index = self.assign(posting, row)?;
        let place = self.places.get_mut(index).ok_or(LedgerError::SlotsFull)?;
        check_growth(place, posting)?;
        let size = place.holding.size.saturating_add(delta);
        // Between closes a size may pass max_size; 48 bits keep every product in range.
        if size.unsigned_abs() >= 1 << SIZE_BITS {
            return Err(LedgerError::Size {
                size,
                max_size: row.max_size,
            });
        }
        place.holding.size = size;
        if posting.needs.has(Needs::DEPOSIT) {
            place.base = place.base.saturating_add(delta);
        }
        Ok(Some(index))
    }

    /// The place that holds the instrument, or the lowest empty one, now assigned to it.
    fn assign(&mut self, posting: &Posting, row: MarginRow) -> Result<usize, LedgerError> {
        let held = self.place_of(posting.instrument);
        let index = if posting.needs.has(Needs::FIXED_SLOT) {
            let wrong = LedgerError::FixedSlot {
                place: posting.place,
            };
            let fixed = usize::try_from(posting.place).unwrap_or(SLOTS);
            let place = self.places.get(fixed).ok_or(wrong.clone())?;
            if held != Some(fixed) && (held.is_some() || place.is_assigned()) {
                return Err(wrong);
            }
            fixed
        } else if let Some(held) = held {
            held
        } else {
            let lowest = self.places.iter().position(|place| !place.is_assigned());
            lowest.ok_or(LedgerError::SlotsFull)?
        };
        if let Some(place) = self.places.get_mut(index) {
            place.holding.row = row;
        }
        Ok(index)
    }

    /// \[N3\], \[N4\]
    fn change_cash(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        let delta = posting.delta_cash;
        if delta.unsigned_abs() >> POSTING_CASH_BITS != 0 {
            return Err(LedgerError::DeltaCash { delta });
        }
        self.cash = running_cash(i128::from(self.cash).saturating_add(delta.into()))?;
        Ok(())
    }

    /// What the close has to know.
    fn record(&mut self, posting: &Posting, place: Option<usize>) {
        let needs = posting.needs;
        self.done.outflow |= needs.has(Needs::OUTFLOW);
        self.done.unpermitted |= !needs.has(Needs::WHILE_FLAGGED);
        self.done.ordinary |= needs.has(Needs::ORDINARY);
        if needs.has(Needs::AT_MOST) {
            let paid = match place {
                Some(_) => posting.delta_size.unsigned_abs(),
                None => posting.delta_cash.unsigned_abs(),
            };
            self.done.at_most = Some(AtMost {
                asked: posting.order_size,
                paid,
                place,
            });
        }
    }
}

/// \[T6\] In a row that is not active every posting reduces, but for takers of a liquidation and
/// insurance, so at close no slot has grown or flipped; \[L3\] so does a reduce-only order's.
fn check_growth(place: &Place, posting: &Posting) -> Result<(), LedgerError> {
    let (size, delta) = (place.holding.size, posting.delta_size);
    let row_flags = place.holding.row.flags;
    if row_flags & flags::SETTLED != 0 {
        return Err(LedgerError::Settled);
    }
    let reduces = is_within(size.saturating_add(delta), size);
    let restricted = row_flags & (flags::REDUCE_ONLY | flags::HALTED) != 0;
    if restricted && !reduces && !posting.needs.has(Needs::MAY_GROW) {
        return Err(LedgerError::RowReduceOnly { size, delta });
    }
    if posting.needs.has(Needs::REDUCE_ONLY) && !reduces {
        return Err(LedgerError::ReduceOnly { size, delta });
    }
    Ok(())
}

pub(super) fn leaf_terms(facts: &Facts) -> Result<LeafTerms, LedgerError> {
    match facts.aux {
        Aux::Leaf(terms) => Ok(terms),
        _ => Err(LedgerError::Aux),
    }
}
