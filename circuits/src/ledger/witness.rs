//! What a ledger segment is told: accounts with their leaves, paths, rows and postings.

use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOut;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use tally_protocol::account::{Account, Keys};
use tally_protocol::hash::Digest;
use tally_protocol::instrument::MarginRow;
use tally_protocol::ledger::Facts;
use tally_protocol::orders::OrderSlot;
use tally_protocol::posting::{Needs, Posting};
use tally_protocol::types::AccountId;

use super::{BlockTarget, LedgerSegment};
use crate::F;

/// One posting with what it opens.
#[derive(Clone, Debug)]
pub struct UnitWitness {
    pub posting: Posting,
    pub facts: Facts,
    /// The order slot that it names and its path; nothing where it names none.
    pub order: OrderSlot,
    pub order_path: Vec<Digest>,
}

/// One account, or a part of its postings.
#[derive(Clone, Debug)]
pub struct BlockWitness {
    pub id: AccountId,
    /// None for an empty leaf.
    pub before: Option<Account>,
    pub path: Vec<Digest>,
    /// By place.
    pub rows: Vec<MarginRow>,
    pub units: Vec<UnitWitness>,
    pub continues: bool,
    /// Full shapes: the row of a refused item's instrument, else row 0.
    pub named_row: MarginRow,
}

/// A segment's accounts, in order.
#[derive(Clone, Debug, Default)]
pub struct LedgerWitness {
    /// The account root before.
    pub accounts: Digest,
    pub blocks: Vec<BlockWitness>,
    /// The running state that the first block goes on from; nothing if it opens an account.
    pub handed: Vec<F>,
}

impl BlockWitness {
    /// The keys that its postings set.
    fn new_keys(&self) -> Keys {
        let sets = |unit: &&UnitWitness| {
            let needs = unit.posting.needs;
            needs.has_any(Needs::CREATE | Needs::SET_KEYS)
        };
        let unit = self.units.iter().find(sets);
        unit.map(|unit| unit.facts.keys).unwrap_or_default()
    }
}

impl LedgerSegment {
    /// Sets everything but context, index, passing chains and challenge.
    pub fn assign(
        &self,
        witness: &mut PartialWitness<F>,
        value: &LedgerWitness,
    ) -> anyhow::Result<()> {
        let room = self.shape.blocks;
        anyhow::ensure!(value.blocks.len() <= room, "room for {room} accounts");
        witness.set_hash_target(self.accounts, value.accounts)?;
        if self.shape.spans() {
            let continued = !value.handed.is_empty();
            witness.set_bool_target(self.continued, continued)?;
            for (i, &target) in self.handed.iter().enumerate() {
                let word = value.handed.get(i).copied().unwrap_or_default();
                witness.set_target(target, word)?;
            }
        }
        for (i, block) in self.blocks.iter().enumerate() {
            match value.blocks.get(i) {
                Some(value) => block.assign(witness, value)?,
                None => block.assign_idle(witness)?,
            }
        }
        Ok(())
    }
}

impl BlockTarget {
    fn assign(&self, witness: &mut PartialWitness<F>, value: &BlockWitness) -> anyhow::Result<()> {
        witness.set_bool_target(self.live, true)?;
        if self.spans {
            witness.set_bool_target(self.continues, value.continues)?;
        }
        witness.set_target(self.id, F::from_canonical_u32(value.id.0))?;
        let before = value.before.clone().unwrap_or_else(default_leaf);
        self.assign_leaf(witness, &before, &value.path)?;
        if let Some(full) = &self.full {
            let exists = value.before.is_some();
            full.assign(witness, exists, &value.new_keys(), &value.named_row)?;
        }
        anyhow::ensure!(value.rows.len() == self.rows.len(), "a row for each place");
        for (target, row) in self.rows.iter().zip(&value.rows) {
            target.assign(witness, row)?;
        }
        anyhow::ensure!(value.units.len() <= self.units.len(), "too many postings");
        for (i, unit) in self.units.iter().enumerate() {
            match value.units.get(i) {
                Some(value) => {
                    unit.assign(witness, &value.posting, &value.facts)?;
                    match value.order_path.is_empty() {
                        true => unit.order.assign_idle(witness)?,
                        false => unit
                            .order
                            .assign(witness, &value.order, &value.order_path)?,
                    }
                }
                None => {
                    unit.assign_idle(witness)?;
                    unit.order.assign_idle(witness)?;
                }
            }
        }
        Ok(())
    }

    fn assign_idle(&self, witness: &mut PartialWitness<F>) -> anyhow::Result<()> {
        witness.set_bool_target(self.live, false)?;
        if self.spans {
            witness.set_bool_target(self.continues, false)?;
        }
        witness.set_target(self.id, F::ZERO)?;
        let path = vec![HashOut::ZERO; self.path.siblings.len()];
        self.assign_leaf(witness, &Account::default(), &path)?;
        if let Some(full) = &self.full {
            full.assign(witness, true, &Default::default(), &Default::default())?;
        }
        for row in &self.rows {
            row.assign(witness, &MarginRow::default())?;
        }
        for unit in &self.units {
            unit.assign_idle(witness)?;
            unit.order.assign_idle(witness)?;
        }
        Ok(())
    }

    fn assign_leaf(
        &self,
        witness: &mut PartialWitness<F>,
        before: &Account,
        path: &[Digest],
    ) -> anyhow::Result<()> {
        self.before.assign(witness, before)?;
        anyhow::ensure!(path.len() == self.path.siblings.len(), "an account's path");
        for (target, sibling) in self.path.siblings.iter().zip(path) {
            witness.set_hash_target(*target, *sibling)?;
        }
        Ok(())
    }
}

/// What an empty leaf's block opens in its place [S3].
pub(super) fn default_leaf() -> Account {
    let mut account = Account::default();
    account.rest.orders_root = tally_protocol::orders::empty_orders();
    account
}
