//! An epoch from the sequencer's side: rows tick, losses are shared, entries are accepted one by
//! one by the stricter per-order rule, and what was accepted always closes.
//!
//! Order: tick rows (without shift), find group G, shifts \[Q6\], changes \[T7\], absorptions,
//! entries, close of accounts, close of rows, header′. An accepted entry leaves every account that
//! it touches able to close now; a refused one leaves everything as it was. `finish` then replays
//! the journal in its final places, which is where witnesses come from.

mod error;
mod finish;
mod held;
mod seal;
mod serve;
mod signed;
#[cfg(test)]
mod tests;
mod ticks;
mod together;
mod trace;
mod view;

pub use error::EpochError;
pub use finish::TICK_INDEX;
pub use seal::Sealed;
pub use signed::{SignaturePool, Signatures};
pub use trace::{
    AccountStep, EpochTrace, LapsedListing, OrderOpening, PostingStep, RowStep, UnsignedError,
};

use std::collections::{BTreeMap, BTreeSet};

use crate::bounds::{BRIDGE_ACCOUNTS, REFUSED_CHANGES};
use crate::entry::{Effects, Entry, EntryError, EpochTerms, Market, Opened};
use crate::header::{self, Header};
use crate::journal::layout::fee_posting;
use crate::journal::sweep::Sweep;
use crate::ledger::{Context, Env, Facts, LedgerError, MarginRows, Running};
use crate::listing::{Change, admit};
use crate::message::SignatureRequest;
use crate::oracle::Round;
use crate::orders::OrderTree;
use crate::posting::{Needs, Posting, PostingKind};
use crate::queue::{Request, Service};
use crate::signature::Signature;
use crate::state::State;
use crate::types::{AccountId, InstrumentId};
use held::Held;
use signed::{MessageId, message_id};
use ticks::Ticks;

/// What an epoch must know before its first entry.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Bankrupts that `begin` absorbs \[Q5\].
    pub absorb: Vec<AccountId>,
    /// Those that an L1 item of the epoch absorbs.
    pub absorb_by_item: Vec<AccountId>,
    /// Fills that share one fee posting \[N3\].
    pub fills_per_segment: usize,
    /// Numbers of the rows to read, besides those that [T3], [Q6] and [T7] demand; all live ones
    /// where it is `None`. Nobody with a slot in an unread row can be touched.
    pub reads: Option<BTreeSet<u32>>,
    /// Numbers of rows to read on top of these, where there is a row: those that L1 items of the
    /// epoch name (`Request::row`), which may not live any more \[J4\].
    pub also: BTreeSet<u32>,
}

/// An epoch under way.
#[derive(Debug)]
pub struct EpochBuilder<'a> {
    state: Held<'a>,
    round: Round,
    plan: Plan,
    context: Context,
    proof: header::Context,
    ticks: Ticks,
    /// Header after the tick, with the listings and changes that items put into it \[T7\].
    header: Header,
    terms: EpochTerms,
    market: Market,
    margin: MarginRows,
    no_orders: OrderTree,
    accounts: BTreeMap<AccountId, Running>,
    /// Lots per side, as the rows' close would see them now \[T8\].
    open: BTreeMap<InstrumentId, OpenInterest>,
    entries: Vec<Entry>,
    /// Messages that an account's trading key signed.
    by_trading_key: BTreeSet<MessageId>,
    /// Of the messages that this epoch brought in, as far as they came with one.
    signatures: BTreeMap<MessageId, Signature>,
    /// Provisional index of the next posting; rising is all that matters before `finish`.
    next_index: u32,
    next_item: Option<u64>,
    discounts: u64,
    absorbed: BTreeSet<AccountId>,
    served: Served,
    refused_changes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct OpenInterest {
    long: i64,
    short: i64,
    max: u64,
}

/// What entries ask to be signed, by account.
type Requests = Vec<(AccountId, SignatureRequest)>;

/// Changes that items of this epoch bring into the header.
type Served = BTreeMap<u32, Change>;

/// What a push has changed, to be undone if it fails.
#[derive(Default)]
struct Undo {
    /// Accounts as they were; those not opened before come as opened.
    accounts: BTreeMap<AccountId, (bool, Running)>,
}

impl<'a> EpochBuilder<'a> {
    /// Ticks the rows and absorbs the declared bankrupts.
    pub fn begin(state: &'a State, round: Round, plan: Plan) -> Result<Self, EpochError> {
        Self::start(Held::Borrowed(state), round, plan)
    }

    fn start(state: Held<'a>, round: Round, plan: Plan) -> Result<Self, EpochError> {
        let absorbed: Vec<AccountId> = [plan.absorb.as_slice(), &plan.absorb_by_item].concat();
        let reads = plan.reads.as_ref();
        let ticks = Ticks::run(&state, &round, (reads, &plan.also), &absorbed)?;
        let proof = proof_context(&state, &round, &ticks);
        let rows = ticks.rows.values();
        let occupied = state.table.rows().map(|(number, _)| number);
        let occupied = occupied.chain(ticks.rows.keys().copied());
        let market = Market::of_table(rows.clone().map(RowStep::market), occupied);
        let margin = rows.clone().map(RowStep::margin).collect();
        let open = rows.map(|row| (row.read.params.id, OpenInterest::of(row)));
        let open = open.collect();
        let mut builder = Self {
            state,
            round,
            context: ledger_context(&ticks.header),
            header: ticks.header,
            terms: EpochTerms::from(&proof),
            proof,
            by_trading_key: BTreeSet::new(),
            signatures: BTreeMap::new(),
            ticks,
            market,
            margin,
            no_orders: OrderTree::default(),
            accounts: BTreeMap::new(),
            open,
            entries: Vec::new(),
            next_index: 0,
            next_item: None,
            discounts: 0,
            absorbed: BTreeSet::new(),
            served: Served::new(),
            refused_changes: 0,
            plan,
        };
        // [Q6] E_G hears of these whether or not anything touches them.
        for id in ticks::members(&builder.state, &[]) {
            builder.open_account(id)?;
        }
        for id in builder.plan.absorb.clone() {
            let entry = builder.absorption(id)?;
            builder.push(entry)?;
        }
        Ok(builder)
    }

    /// The per-order rule: an accepted entry leaves a journal that closes. No signature is asked
    /// for: `submit` does, and an epoch without its signatures cannot be proven.
    pub fn push(&mut self, entry: Entry) -> Result<Effects, EpochError> {
        self.push_signed(entry, &())
    }

    /// `check` sees every signature request of the entry, with the account that it comes from.
    fn push_checked(
        &mut self,
        entry: Entry,
        signatures: &dyn Signatures,
        check: impl Fn(AccountId, &SignatureRequest) -> Result<Option<Signature>, EpochError>,
    ) -> Result<Effects, EpochError> {
        let effects = entry.effects(&self.entry_terms())?;
        let header = self.check_epoch_wide(&entry, &effects)?;
        let postings = effects.postings.iter().map(|opened| &opened.posting);
        let traded = postings.filter(|posting| {
            posting.needs.has(Needs::TRADING_KEY)
                && signatures.by_trading_key(posting.account, posting.digest)
        });
        let traded: Vec<_> = traded
            .map(message_of)
            .filter(|message| self.by_trading_key.insert(*message))
            .collect();
        let index = self.next_index;
        let mut undo = Undo::default();
        let applied = self.apply_all(&effects, &mut undo).and_then(|requests| {
            self.check_closing(&undo)?;
            let mut signed = Vec::with_capacity(requests.len());
            for (account, request) in requests {
                let signature = check(account, &request)?;
                let id = message_id(account, request.digest);
                signed.extend(signature.map(|signature| (id, signature)));
            }
            Ok(signed)
        });
        let signed = match applied {
            Ok(signed) => signed,
            Err(error) => {
                self.next_index = index;
                for message in &traded {
                    self.by_trading_key.remove(message);
                }
                self.restore(undo);
                return Err(error);
            }
        };
        self.signatures.extend(signed);
        self.count(&undo);
        self.header = header;
        self.note(&entry, &effects);
        self.entries.push(entry);
        Ok(effects)
    }

    fn fresh(&self, id: AccountId) -> Result<Running, EpochError> {
        let before = self.state.accounts.account(id);
        Running::open(self.context, id, before, &self.margin)
            .map_err(|error| EpochError::Ledger { account: id, error })
    }

    fn open_account(&mut self, id: AccountId) -> Result<(), EpochError> {
        if !self.accounts.contains_key(&id) {
            let running = self.fresh(id)?;
            self.accounts.insert(id, running);
        }
        Ok(())
    }

    /// What a single account cannot see: the queue's order, the discounts' budget, who is in G, and
    /// the header's places. The header after the entry comes back.
    fn check_epoch_wide(&self, entry: &Entry, effects: &Effects) -> Result<Header, EpochError> {
        if let (Some(record), Some(next)) = (&effects.outcome, self.next_item)
            && record.index != next
        {
            let index = record.index;
            return Err(EpochError::QueueOrder { index, next });
        }
        let discounts = self.discounts.saturating_add(effects.discount);
        let budget = self.terms.unwind_budget;
        if discounts > budget {
            return Err(EpochError::Discounts { discounts, budget });
        }
        for account in absorbed(effects) {
            let declared =
                self.plan.absorb.contains(&account) || self.plan.absorb_by_item.contains(&account);
            if !declared {
                return Err(EpochError::Undeclared { account });
            }
        }
        let Some((change, done)) = change_of(entry) else {
            return Ok(self.header);
        };
        let row = change.row();
        // So a refusal is a fact about the header before the epoch's items (D30).
        let (admitted, refused) = (self.served.len(), self.refused_changes);
        let waits = match done {
            true => refused > 0,
            false => admitted > 0 || refused >= REFUSED_CHANGES,
        };
        if waits {
            return Err(EpochError::ChangeWaits { row });
        }
        match (done, admit(&self.header, change)) {
            (true, header) => Ok(header?),
            (false, Ok(_)) => Err(EpochError::Admissible { row }),
            (false, Err(_)) => Ok(self.header),
        }
    }

    /// The signatures that the postings ask for come back, by account.
    fn apply_all(&mut self, effects: &Effects, undo: &mut Undo) -> Result<Requests, EpochError> {
        let mut requests = Requests::new();
        for opened in &effects.postings {
            let request = self.apply(opened, undo)?;
            requests.extend(request.map(|request| (opened.posting.account, request)));
        }
        if effects.fee > 0 {
            let fee = fee_posting(effects.fee, self.terms.deficit);
            let fee = fee.map_err(EntryError::from)?;
            self.apply(&fee.into(), undo)?;
        }
        Ok(requests)
    }

    fn apply(
        &mut self,
        opened: &Opened,
        undo: &mut Undo,
    ) -> Result<Option<SignatureRequest>, EpochError> {
        let id = opened.posting.account;
        let posting = Posting {
            epoch: self.context.epoch,
            index: self.next_index,
            ..opened.posting.clone()
        };
        self.next_index = self.next_index.saturating_add(1);
        let was_open = self.accounts.contains_key(&id);
        self.open_account(id)?;
        let facts = self.facts(opened);
        let Some(running) = self.accounts.get_mut(&id) else {
            return Ok(None);
        };
        let saved = undo.accounts.entry(id);
        saved.or_insert_with(|| (was_open, running.clone()));
        let orders = self.state.accounts.get(id).map(|member| &member.orders);
        let env = Env {
            rows: &self.margin,
            orders: orders.unwrap_or(&self.no_orders),
        };
        running
            .apply(&posting, &facts, &env)
            .map_err(|error| EpochError::Ledger { account: id, error })
    }

    /// Every touched account could close now, and so could every row.
    fn check_closing(&self, undo: &Undo) -> Result<(), EpochError> {
        for &id in undo.accounts.keys() {
            let Some(running) = self.accounts.get(&id) else {
                continue;
            };
            match running.close() {
                // `finish` sweeps it.
                Ok(_) | Err(LedgerError::InsuranceCash { .. }) => {}
                Err(error) => return Err(EpochError::Ledger { account: id, error }),
            }
        }
        for (instrument, change) in self.open_changes(undo) {
            let now = self.open.get(&instrument).copied().unwrap_or_default();
            let after = now.plus(change);
            let most = after.long.max(after.short);
            let grows = change.0 > 0 || change.1 > 0;
            if grows && u64::try_from(most).unwrap_or(0) > now.max {
                return Err(EpochError::OpenInterest {
                    instrument: instrument.0,
                    open: most,
                    max: now.max,
                });
            }
        }
        Ok(())
    }

    /// Lots per instrument (long, short) by which the touched accounts changed, bridges apart.
    fn open_changes(&self, undo: &Undo) -> BTreeMap<InstrumentId, (i64, i64)> {
        let mut changes: BTreeMap<InstrumentId, (i64, i64)> = BTreeMap::new();
        for (id, (_, before)) in undo.accounts.iter().filter(|(id, _)| !id.is_bridge()) {
            let Some(after) = self.accounts.get(id) else {
                continue;
            };
            for (old, new) in before.places.iter().zip(&after.places) {
                let (was, is) = (old.holding.size, new.holding.size);
                if was == is {
                    continue;
                }
                let entry = changes.entry(new.holding.row.id).or_default();
                let long = is.max(0).saturating_sub(was.max(0));
                let short = was.min(0).saturating_sub(is.min(0));
                entry.0 = entry.0.saturating_add(long);
                entry.1 = entry.1.saturating_add(short);
            }
        }
        changes
    }

    fn restore(&mut self, undo: Undo) {
        for (id, (was_open, running)) in undo.accounts {
            if was_open {
                self.accounts.insert(id, running);
            } else {
                self.accounts.remove(&id);
            }
        }
    }

    fn count(&mut self, undo: &Undo) {
        for (instrument, change) in self.open_changes(undo) {
            let open = self.open.entry(instrument).or_default();
            *open = open.plus(change);
        }
    }

    fn note(&mut self, entry: &Entry, effects: &Effects) {
        self.discounts = self.discounts.saturating_add(effects.discount);
        if let Some(record) = &effects.outcome {
            self.next_item = record.index.checked_add(1);
        }
        self.absorbed.extend(absorbed(effects));
        match change_of(entry) {
            Some((change, true)) => drop(self.served.insert(change.row(), *change)),
            Some((_, false)) => self.refused_changes = self.refused_changes.saturating_add(1),
            None => {}
        }
    }

    fn facts(&self, opened: &Opened) -> Facts {
        let posting = &opened.posting;
        let by_trading_key = posting.needs.has(Needs::TRADING_KEY)
            && self.by_trading_key.contains(&message_of(posting));
        Facts {
            aux: opened.aux,
            keys: opened.keys,
            by_trading_key,
        }
    }

    /// Cash of insurance accounts that hold no lots any more goes to account 0 (D15).
    fn sweep(&mut self) -> Result<(), EpochError> {
        let stranded = |(id, running): (&AccountId, &Running)| match running.close() {
            Err(LedgerError::InsuranceCash { cash }) => Some((*id, cash)),
            _ => None,
        };
        // One posting holds 2^56; insurance's cash is below 2^60.
        loop {
            let found: Vec<_> = self.accounts.iter().filter_map(stranded).collect();
            if found.is_empty() {
                return Ok(());
            }
            for (account, cash) in found {
                self.push(Entry::Sweep(Sweep::of(account, cash)))?;
            }
        }
    }
}

impl OpenInterest {
    /// Totals of a row as the epoch finds it: what is settled vanishes as leaves open.
    fn of(row: &RowStep) -> Self {
        let lots = |open: u64| i64::try_from(open).unwrap_or(i64::MAX);
        Self {
            long: lots(row.read.open_long),
            short: lots(row.read.open_short),
            max: row.read.params.max_open_interest,
        }
    }

    fn plus(self, (long, short): (i64, i64)) -> Self {
        Self {
            long: self.long.saturating_add(long),
            short: self.short.saturating_add(short),
            ..self
        }
    }
}

fn ledger_context(header: &Header) -> Context {
    Context {
        epoch: header.epoch,
        flag_expiry: header.globals.flag_lifetime,
    }
}

/// What holds for the whole epoch; header′ and rows′ come in when it finishes.
fn proof_context(state: &State, round: &Round, ticks: &Ticks) -> header::Context {
    let header = &ticks.header;
    let bridge = state.accounts.account(AccountId(BRIDGE_ACCOUNTS));
    let owed = bridge.map_or(0, |bridge| bridge.money.cash.saturating_neg());
    header::Context {
        globals: header.globals,
        epoch: header.epoch,
        round: header.round,
        time: header.time,
        entries_allowed: ticks.advance.entries_allowed,
        fills_allowed: ticks.advance.fills_allowed,
        deficit: header.deficit,
        vault: u64::try_from(owed).unwrap_or(0),
        recovery: ticks.plan.recovery,
        losses: ticks.plan.losses,
        unwind_budget: u64::try_from(ticks.group_equity).unwrap_or(0),
        header_before: state.header.digest(),
        reports: round.digest(),
        ..header::Context::default()
    }
}

fn message_of(posting: &Posting) -> MessageId {
    message_id(posting.account, posting.digest)
}

/// Accounts that these effects empty \[Q5\].
fn absorbed(effects: &Effects) -> impl Iterator<Item = AccountId> {
    let postings = effects.postings.iter().map(|opened| &opened.posting);
    postings
        .filter(|posting| posting.kind == PostingKind::Absorbed)
        .map(|posting| posting.account)
}

/// The listing or change of an L1 item, and whether it is done.
fn change_of(entry: &Entry) -> Option<(&Change, bool)> {
    let Entry::Item(served) = entry else {
        return None;
    };
    match &served.item.request {
        Request::Change(change) => Some((change, served.service == Service::Done)),
        _ => None,
    }
}
