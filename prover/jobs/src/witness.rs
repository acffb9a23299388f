//! An epoch's witness: what the sequencer hands to the prover when the epoch closes.

use serde::{Deserialize, Serialize};
use tally_protocol::bounds::{ACCOUNT_DEPTH, ORDER_DEPTH, TABLE_DEPTH};
use tally_protocol::epoch::EpochTrace;
use tally_protocol::hash::Digest;
use tally_protocol::header::state_root;
use tally_protocol::table::Table;

use crate::id::Address;
use crate::wire::{Wire, WireError};

/// All that an epoch's segments follow from: what happened in it, and the table before it.
///
/// Nobody has to trust it. A witness that decodes is well formed: its lists refer to each other
/// within their bounds and its roots are those of its parts. Whether it keeps the rules is what the
/// proof shows; one that does not is refused while it is proven.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochWitness {
    pub trace: EpochTrace,
    /// All rows before the epoch.
    pub before: Table,
}

impl EpochWitness {
    pub fn epoch(&self) -> u32 {
        self.trace.context.epoch
    }

    /// The name of its encoding.
    pub fn address(&self) -> Address {
        Address::of(&self.encode())
    }

    fn check_roots(&self) -> Result<(), WireError> {
        let trace = &self.trace;
        let root = |accounts, table, header: Digest| state_root(accounts, table, header);
        let (before, after) = (trace.header_before.digest(), trace.header_after.digest());
        let equal = [
            ("the table before", self.before.root() == trace.table_before),
            (
                "the state before",
                root(trace.accounts_before, trace.table_before, before) == trace.root_before,
            ),
            (
                "the state after",
                root(trace.accounts_after, trace.table_after, after) == trace.root_after,
            ),
            ("the header before", trace.context.header_before == before),
            ("the header after", trace.context.header_after == after),
            (
                "the reporters",
                trace.reporters.digest() == trace.header_before.reporters,
            ),
        ];
        match equal.iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(refused("wire.root", format!("{what}: not the root's"))),
            None => Ok(()),
        }
    }

    /// A path is as long as its tree is deep, a place is inside of its tree.
    fn check_paths(&self) -> Result<(), WireError> {
        let check = |what: &str, place: u32, path: &[Digest], depth: usize| {
            let inside = u64::from(place) >> depth == 0;
            match inside && path.len() == depth {
                true => Ok(()),
                false => {
                    let siblings = path.len();
                    let reason =
                        format!("{what} {place}: {siblings} siblings in a tree of depth {depth}");
                    Err(refused("wire.depth", reason))
                }
            }
        };
        for row in &self.trace.rows {
            check("row", row.number, &row.path, TABLE_DEPTH)?;
        }
        for lapsed in &self.trace.lapsed {
            check("lapsed listing", 0, &lapsed.path, TABLE_DEPTH)?;
        }
        for account in &self.trace.accounts {
            check("account", account.id.0, &account.path, ACCOUNT_DEPTH)?;
            for order in account.postings.iter().filter_map(|it| it.order.as_ref()) {
                check("order slot", order.place, &order.path, ORDER_DEPTH)?;
            }
        }
        Ok(())
    }

    /// References from one list into another.
    fn check_indices(&self) -> Result<(), WireError> {
        let (entries, journal) = (self.trace.entries.len(), &self.trace.journal);
        let postings = journal.postings.len();
        let check = |what: &str, index: usize, bound: usize| match index < bound {
            true => Ok(()),
            false => {
                let reason = format!("{what} {index} of {bound}");
                Err(refused("wire.index", reason))
            }
        };
        if journal.starts.len() != entries {
            let reason = format!("{} starts of {entries} entries", journal.starts.len());
            return Err(refused("wire.index", reason));
        }
        for start in &journal.starts {
            check("first posting", *start, postings + 1)?;
        }
        for segment in &journal.segments {
            for entry in &segment.entries {
                check("entry", *entry, entries)?;
            }
            for posting in &segment.postings {
                check("posting", *posting, postings)?;
            }
        }
        let rising = |mut ids: Box<dyn Iterator<Item = u32> + '_>| {
            let mut last = None;
            ids.all(|id| last.replace(id).is_none_or(|last| last < id))
        };
        let accounts = self.trace.accounts.iter().map(|step| step.id.0);
        let rows = self.trace.rows.iter().map(|row| row.number);
        match rising(Box::new(accounts)) && rising(Box::new(rows)) {
            true => Ok(()),
            false => Err(refused("wire.order", "accounts or rows do not rise".into())),
        }
    }
}

impl Wire for EpochWitness {
    const KIND: u16 = 1;
    const VERSION: u16 = 1;

    fn check(&self) -> Result<(), WireError> {
        let round = self.trace.round.check(&self.trace.reporters);
        round.map_err(|error| refused(error.code(), error.to_string()))?;
        self.check_paths()?;
        self.check_indices()?;
        self.check_roots()
    }
}

fn refused(code: &'static str, reason: String) -> WireError {
    WireError::Refused { code, reason }
}
