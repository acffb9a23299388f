//! The second half of an epoch: the journal in its places, the accounts' epochs one by one, the
//! rows' close, header′ and the new state.

use std::collections::BTreeMap;

use crate::account::Account;
use crate::close::{RowChange, close};
use crate::entry::{Entry, Opened, Terms};
use crate::epoch::signed::message_id;
use crate::epoch::{AccountStep, EpochBuilder, EpochError, EpochTrace, OrderOpening, PostingStep};
use crate::genesis::default_leaf;
use crate::header;
use crate::instrument::Row;
use crate::journal::layout::{Journal, lay_out};
use crate::ledger::{Env, Running, totals_changes};
use crate::orders::{self, OrderSlot, OrderTree};
use crate::posting::{Needs, Posting, PostingKind};
use crate::state::{Member, State};
use crate::table::Table;
use crate::types::{AccountId, InstrumentId};

/// Index of the tick's posting to insurance 0: behind all of the journal's.
pub const TICK_INDEX: u32 = u32::MAX;

impl EpochBuilder<'_> {
    /// Closes the epoch. What `push` accepted closes; the errors are for what no caller can cause.
    pub fn finish(mut self) -> Result<(State, EpochTrace), EpochError> {
        self.sweep()?;
        self.check_declared()?;
        let entries = core::mem::take(&mut self.entries);
        let terms = Terms {
            epoch: &self.terms,
            market: &self.market,
        };
        let journal = lay_out(&entries, &terms, self.plan.fills_per_segment.max(1))?;
        let tick_posting = self.tick_posting();
        let closed = self.close_accounts(&journal, &tick_posting)?;
        let mut accounts = Vec::with_capacity(closed.len());
        let mut members = Vec::with_capacity(closed.len());
        for (step, member) in closed {
            members.extend(member.map(|member| (step.id, member)));
            accounts.push(step);
        }
        self.close_rows(accounts.iter().map(|step| (step.id, &step.totals)))?;
        self.assemble(entries, journal, tick_posting, accounts, members)
    }

    /// \[Q6\] Whoever was declared is absorbed.
    pub(super) fn check_declared(&self) -> Result<(), EpochError> {
        let declared = self.plan.absorb.iter().chain(&self.plan.absorb_by_item);
        for account in declared {
            if !self.absorbed.contains(account) {
                return Err(EpochError::NotAbsorbed { account: *account });
            }
        }
        Ok(())
    }

    /// \[Q6\] What the shifts collect goes to insurance 0 exactly. It is posted in every epoch, if
    /// only 0: so the ledger opens insurance 0, whose equity E_G must hold.
    pub(super) fn tick_posting(&self) -> Posting {
        let posted = i64::try_from(self.ticks.recovered.posted).unwrap_or(i64::MAX);
        Posting {
            epoch: self.context.epoch,
            index: TICK_INDEX,
            delta_cash: posted,
            needs: Needs::SYSTEM,
            ..Posting::blank(PostingKind::Tick, AccountId(0))
        }
    }

    /// Every touched account from its leaf to its leaf, with all openings on the way.
    fn close_accounts(
        &self,
        journal: &Journal,
        tick: &Posting,
    ) -> Result<Vec<(AccountStep, Option<Member>)>, EpochError> {
        let mut postings: BTreeMap<AccountId, Vec<Opened>> =
            self.accounts.keys().map(|id| (*id, Vec::new())).collect();
        let all = journal.postings.iter().cloned();
        for opened in all.chain([Opened::from(tick.clone())]) {
            let account = opened.posting.account;
            postings.entry(account).or_default().push(opened);
        }
        let post = |(id, postings): (AccountId, Vec<Opened>)| self.post(id, &postings);
        let mut posted = postings
            .into_iter()
            .map(post)
            .collect::<Result<Vec<_>, _>>()?;
        open_orders(&mut posted)?;
        posted
            .into_iter()
            .map(|posted| self.close_account(posted))
            .collect()
    }

    /// An account's postings one after another; its order slots change without being hashed.
    fn post(&self, id: AccountId, opened: &[Opened]) -> Result<Posted, EpochError> {
        let failed = |error| EpochError::Ledger { account: id, error };
        let before = self.state.accounts.get(id);
        let mut running = self.fresh(id)?;
        let orders = before.map_or_else(OrderTree::default, |member| member.orders.clone());
        let first = before.map_or(&self.no_orders, |member| &member.orders);
        let mut postings = Vec::with_capacity(opened.len());
        let mut slots = BTreeMap::new();
        for opened in opened {
            let facts = self.facts(opened);
            let env = Env {
                rows: &self.margin,
                orders: first,
            };
            let posting = opened.posting.clone();
            let request = running.apply(&posting, &facts, &env).map_err(failed)?;
            let order = order_opening(&posting, &running, first, &mut slots);
            let signature = request.and_then(|request| {
                let message = message_id(id, request.digest);
                self.signatures.get(&message).copied()
            });
            postings.push(PostingStep {
                posting,
                facts,
                order,
                request,
                signature,
            });
        }
        Ok(Posted {
            running,
            orders,
            postings,
        })
    }

    fn close_account(&self, posted: Posted) -> Result<(AccountStep, Option<Member>), EpochError> {
        let Posted {
            running,
            orders,
            postings,
        } = posted;
        let account = running.id;
        let closed = running.close();
        let closed = closed.map_err(|error| EpochError::Ledger { account, error })?;
        let before = self.state.accounts.account(account).cloned();
        let after = running.exists.then(|| Account {
            money: closed.money,
            owner: running.owner,
            rest: crate::account::Rest {
                orders_root: orders.root(),
                ..running.rest.clone()
            },
        });
        let step = self.account_step(&running, before, postings, after.clone());
        Ok((step, after.map(|account| Member { account, orders })))
    }

    fn account_step(
        &self,
        running: &Running,
        before: Option<Account>,
        postings: Vec<PostingStep>,
        after: Option<Account>,
    ) -> AccountStep {
        let nothing = default_leaf(Default::default(), Default::default(), Default::default());
        let (old, new) = (
            before.as_ref().unwrap_or(&nothing),
            after.as_ref().unwrap_or(&nothing),
        );
        let totals = match running.id.is_bridge() {
            true => BTreeMap::new(),
            false => totals_changes(&old.money, &new.money),
        };
        AccountStep {
            id: running.id,
            path: self.state.accounts.tree().path(running.id.0),
            opening: running.opening,
            created: running.created,
            group: running.group_share(old),
            totals,
            before,
            postings,
            after,
        }
    }

    /// \[T8\] The accounts' changes into their rows.
    pub(super) fn close_rows<'t>(
        &mut self,
        accounts: impl Iterator<Item = (AccountId, &'t BTreeMap<u64, i64>)>,
    ) -> Result<(), EpochError> {
        let mut changes: BTreeMap<InstrumentId, RowChange> = BTreeMap::new();
        for (account, totals) in accounts {
            for (key, change) in totals {
                let id = u32::try_from(key >> 1).unwrap_or_default();
                let row = changes.entry(InstrumentId(id)).or_default();
                let is_long = key & 1 == 0;
                let side = if is_long {
                    &mut row.long
                } else {
                    &mut row.short
                };
                *side = side.saturating_add(*change);
                if account.is_insurance() {
                    let signed = if is_long {
                        *change
                    } else {
                        change.saturating_neg()
                    };
                    row.insurance = row.insurance.saturating_add(signed);
                }
            }
        }
        for (number, row) in &mut self.ticks.rows {
            // A row that a new instrument takes over had no holders left under its old id.
            let change = changes.remove(&row.read.params.id).unwrap_or_default();
            row.totals = change;
            row.after = close(&row.read, &change, self.context.epoch).map_err(|error| {
                let row = *number;
                EpochError::Close { row, error }
            })?;
        }
        match changes.into_keys().next() {
            Some(InstrumentId(instrument)) => Err(EpochError::Unread { instrument }),
            None => Ok(()),
        }
    }

    fn assemble(
        mut self,
        entries: Vec<Entry>,
        journal: Journal,
        tick_posting: Posting,
        accounts: Vec<AccountStep>,
        members: Vec<(AccountId, Member)>,
    ) -> Result<(State, EpochTrace), EpochError> {
        let rows = || self.ticks.rows.iter();
        let read = with_rows(&self.state.table, rows().map(|(n, row)| (*n, row.read)))?;
        read.check_ages(self.header.round)?;
        let before = &self.state;
        let (root_before, header_before) = (before.root(), before.header);
        let (accounts_before, table_before) = (before.accounts.root(), before.table.root());
        let mut after = self.state.take();
        after.accounts.set(members)?;
        let closed = self.ticks.rows.iter().map(|(n, row)| (*n, row.after));
        after.table.set_many(closed)?;
        self.leave_header(&mut after);
        let context = header::Context {
            header_after: self.header.digest(),
            table: read.root(),
            ..self.proof
        };
        let trace = EpochTrace {
            context,
            root_before,
            root_after: after.root(),
            header_before,
            header_after: after.header,
            accounts_before,
            accounts_after: after.accounts.root(),
            table_before,
            table_after: after.table.root(),
            reporters: after.reporters.clone(),
            group_equity: self.ticks.group_equity,
            rows: self.ticks.rows.into_values().collect(),
            lapsed: self.ticks.lapsed,
            round: self.round,
            tick_posting,
            entries,
            journal,
            accounts,
        };
        Ok((after, trace))
    }

    /// header′, and behind it the changes that still wait \[T7\].
    pub(super) fn leave_header(&self, after: &mut State) {
        after.header = self.header;
        let pending = |row: &u32| {
            let mut items = self.header.pending.iter();
            items.any(|item| !item.is_empty() && item.row == *row)
        };
        let served = self.served.iter().map(|(row, change)| (*row, *change));
        after.changes.extend(served);
        after.changes.retain(|row, _| pending(row));
    }
}

/// An account behind its postings, its order tree not hashed.
struct Posted {
    running: Running,
    orders: OrderTree,
    postings: Vec<PostingStep>,
}

/// The order slot that a posting changed; `slots` are those that postings before it changed. Its
/// path is still to be found.
fn order_opening(
    posting: &Posting,
    running: &Running,
    first: &OrderTree,
    slots: &mut BTreeMap<u32, OrderSlot>,
) -> Option<OrderOpening> {
    let needs = posting.needs;
    if needs.has(Needs::REFUSED) || !needs.has(Needs::ORDER) || needs.has(Needs::NONCE) {
        return None;
    }
    let place = posting.place;
    let before = slots.get(&place).copied();
    let before = before.unwrap_or_else(|| first.slot(place));
    let after = running.orders.get(&place).copied().unwrap_or(before);
    slots.insert(place, after);
    Some(OrderOpening {
        place,
        before,
        after,
        path: Vec::new(),
    })
}

/// Opens each order slot in its account's tree as the postings before left it, and hashes the
/// trees, all accounts' side by side.
fn open_orders(posted: &mut [Posted]) -> Result<(), EpochError> {
    let changes = posted.iter_mut().map(|posted| {
        let openings = posted
            .postings
            .iter()
            .filter_map(|step| step.order.as_ref());
        let slots = openings.map(|order| (order.place, order.after)).collect();
        (&mut posted.orders, slots)
    });
    let paths = orders::set_in_turn(changes)?;
    for (posted, paths) in posted.iter_mut().zip(paths) {
        let openings = posted
            .postings
            .iter_mut()
            .filter_map(|step| step.order.as_mut());
        for (order, path) in openings.zip(paths) {
            order.path = path;
        }
    }
    Ok(())
}

fn with_rows(table: &Table, rows: impl Iterator<Item = (u32, Row)>) -> Result<Table, EpochError> {
    let mut table = table.clone();
    table.set_many(rows)?;
    Ok(table)
}
