//! How an L1 item must end \[J4\]: what whoever serves the queue asks before he does.

use std::collections::BTreeMap;

use crate::entry::{Entry, EntryError};
use crate::epoch::{EpochBuilder, EpochError};
use crate::instrument::flags;
use crate::journal::TermsError;
use crate::journal::refusal::{Fault, fault};
use crate::ledger::{Env, LedgerError, Running};
use crate::listing::admit;
use crate::margin::{Holding, liquidation_charge};
use crate::posting::Posting;
use crate::queue::{Item, Reason, Request, Served, Service, Take};
use crate::terms::CASH;
use crate::types::{AccountId, InstrumentId};

impl EpochBuilder<'_> {
    /// Whether the accounts of an entry take it after what was pushed so far. Nothing is pushed;
    /// what only the whole epoch knows (the queue's order, open interest) is not looked at.
    pub fn try_entry(&self, entry: &Entry) -> Result<(), EpochError> {
        let effects = entry.effects(&self.entry_terms())?;
        let mut touched: BTreeMap<AccountId, Running> = BTreeMap::new();
        for (index, opened) in (self.next_index..).zip(&effects.postings) {
            let id = opened.posting.account;
            let fault = |error| EpochError::Ledger { account: id, error };
            let mut running = match touched.remove(&id) {
                Some(running) => running,
                None => self.account(id)?,
            };
            let posting = Posting {
                epoch: self.context.epoch,
                index,
                ..opened.posting.clone()
            };
            let orders = self.state.accounts.get(id).map(|member| &member.orders);
            let env = Env {
                rows: &self.margin,
                orders: orders.unwrap_or(&self.no_orders),
            };
            let facts = self.facts(opened);
            running.apply(&posting, &facts, &env).map_err(fault)?;
            touched.insert(id, running);
        }
        for (id, running) in &touched {
            match running.close() {
                Ok(_) | Err(LedgerError::InsuranceCash { .. }) => {}
                Err(error) => {
                    return Err(EpochError::Ledger {
                        account: *id,
                        error,
                    });
                }
            }
        }
        Ok(())
    }

    /// The one way in which a request ends now, while nothing has touched its accounts in this
    /// epoch; `None` where it has to wait: for a row that is not read, for the end of a pause of
    /// fills \[T2\], or for an epoch that plans the absorption.
    pub fn service(&self, request: &Request) -> Result<Option<Service>, EpochError> {
        match fault(request, &self.entry_terms()) {
            Ok(Some(fault)) => return Ok(Some(Service::Refused(Reason::Terms(fault)))),
            Err(TermsError::Unread(_)) => return Ok(None),
            found => found.map_err(EntryError::from)?,
        };
        let done = self.done(request)?;
        let refused = self.refusals(request)?.into_iter().map(Service::Refused);
        let ends = |service: &Service| {
            let item = Item {
                index: 0,
                request: request.clone(),
            };
            let service = service.clone();
            let entry = Entry::Item(Box::new(Served { item, service }));
            self.try_entry(&entry).is_ok()
        };
        let undeclared = matches!(done, Some(Service::Absorbed { .. }))
            && request
                .account()
                .is_some_and(|account| !self.plan.absorb_by_item.contains(&account));
        let found = done.into_iter().chain(refused).find(ends);
        Ok(found.filter(|end| !(undeclared && matches!(end, Service::Absorbed { .. }))))
    }

    /// How it ends if its accounts allow.
    fn done(&self, request: &Request) -> Result<Option<Service>, EpochError> {
        Ok(match request {
            Request::Withdraw {
                account,
                instrument,
                amount,
                ..
            } => {
                let running = self.account(*account)?;
                let asked = match *instrument {
                    CASH => (*amount).min(self.terms.vault),
                    _ => *amount,
                };
                let most = most_paid(&running, *instrument);
                Some(Service::Paid(asked.min(most)))
            }
            Request::Take(take) => self.taken(take)?,
            Request::Absorb { account } => {
                let running = self.account(*account)?;
                Some(Service::Absorbed {
                    holdings: Box::new(running.absorbed_holdings()),
                    debt: running.absorbed_cash().unsigned_abs(),
                })
            }
            Request::Change(change) => admit(&self.header, change).is_ok().then_some(Service::Done),
            _ => Some(Service::Done),
        })
    }

    /// \[Q3\] As many lots as restore the account, of those asked for.
    fn taken(&self, take: &Take) -> Result<Option<Service>, EpochError> {
        let running = self.account(take.account)?;
        let Some(place) = running.place_of(take.instrument) else {
            return Ok(None);
        };
        let (Some(place), Some(row)) =
            (running.places.get(place), self.market.row(take.instrument))
        else {
            return Ok(None);
        };
        let initial = place.holding.row.initial(place.base_side());
        let charge = liquidation_charge(&running.opening.totals, initial, row.penalty);
        let lots = restoring_lots(&running, &place.holding, charge);
        Ok(Some(Service::Taken {
            size: lots.min(take.size),
            charge,
            flagged_at: running.flagged_at,
        }))
    }

    /// Reasons that the request admits.
    fn refusals(&self, request: &Request) -> Result<Vec<Reason>, EpochError> {
        let mut reasons = request.reasons(&self.entry_terms());
        if let Request::Absorb { account } = request {
            let running = self.account(*account)?;
            let held = running.places.iter().map(|place| place.holding);
            let halted = held.filter(|held| {
                let status = held.row.flags & (flags::HALTED | flags::SETTLED);
                held.size != 0 && status == flags::HALTED
            });
            reasons.extend(halted.map(|held| Reason::Halted(held.row.id)));
        }
        if let Request::Change(change) = request
            && admit(&self.header, change).is_err()
        {
            reasons.push(Reason::Terms(Fault::Pending));
        }
        Ok(reasons)
    }
}

/// \[Q3\] The lots of a holding that restore the account, at most all.
fn restoring_lots(running: &Running, held: &Holding, charge: u64) -> u64 {
    let (totals, charge) = (&running.opening.totals, i128::from(charge));
    let (lacks, gains) = if totals.meets_maintenance() {
        let brought = i128::from(held.row.value).saturating_sub(charge);
        (i128::from(running.cash).saturating_neg(), brought)
    } else {
        let lot = i128::from(held.row.initial(held.side()));
        let short = i128::from(totals.initial).saturating_sub(totals.equity.into());
        (short, lot.saturating_sub(charge))
    };
    let all = held.size.unsigned_abs();
    if lacks <= 0 || gains <= 0 {
        return 0;
    }
    let whole = lacks.saturating_add(gains).saturating_sub(1);
    let lots = whole.checked_div(gains).unwrap_or(0);
    u64::try_from(lots).unwrap_or(all).min(all)
}

/// \[L4\] The most that may leave an account.
fn most_paid(running: &Running, instrument: InstrumentId) -> u64 {
    let totals = running.opening.totals;
    let spare = totals.equity.saturating_sub_unsigned(totals.outflow);
    let spare = u64::try_from(spare).unwrap_or(0);
    if instrument == CASH {
        return spare.min(u64::try_from(running.cash).unwrap_or(0));
    }
    let place = running.place_of(instrument);
    let held = place.and_then(|place| running.places.get(place));
    let Some(held) = held.map(|place| place.holding) else {
        return 0;
    };
    let lots = u64::try_from(held.size).unwrap_or(0);
    let each = held.row.value.saturating_sub(held.row.outflow_long);
    lots.min(spare.checked_div(each).unwrap_or(lots))
}
