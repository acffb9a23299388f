//! The instrument table: rows by number, and the tree of their digests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{MAX_ROW_AGE, TABLE_DEPTH};
use crate::hash::{Digest, EMPTY};
use crate::instrument::Row;
use crate::listing::row_of;
use crate::tree::{PartialTree, SparseTree, TreeError};
use crate::types::InstrumentId;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TableError {
    #[error("[T3] row {row} of round {last} has open interest and is too old for round {round}")]
    Stale { row: u32, last: u32, round: u32 },
    #[error("[Q6] row {row} has insurance inventory and was not read in round {round}")]
    Inventory { row: u32, round: u32 },
    #[error("[T3] instrument {0:?} is not listed")]
    Unlisted(InstrumentId),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl TableError {
    pub fn code(&self) -> &'static str {
        match self {
            TableError::Stale { .. } => "T3.stale",
            TableError::Inventory { .. } => "Q6.inventory_unread",
            TableError::Unlisted(_) => "T3.unlisted",
            TableError::Tree(error) => error.code(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "BTreeMap<u32, Row>", try_from = "BTreeMap<u32, Row>")]
pub struct Table {
    rows: BTreeMap<u32, Row>,
    tree: SparseTree,
}

impl From<Table> for BTreeMap<u32, Row> {
    fn from(table: Table) -> Self {
        table.rows
    }
}

impl TryFrom<BTreeMap<u32, Row>> for Table {
    type Error = TableError;

    fn try_from(rows: BTreeMap<u32, Row>) -> Result<Self, TableError> {
        let mut table = Self::genesis();
        table.set_many(rows)?;
        Ok(table)
    }
}

impl Table {
    /// \[S7\] No row but the quote's, number 0, which is all zeros.
    pub fn genesis() -> Self {
        let mut table = Self {
            rows: BTreeMap::new(),
            tree: SparseTree::new(TABLE_DEPTH),
        };
        table.rows.insert(0, Row::default());
        // Row 0 is inside of every tree.
        let _ = table.tree.set(0, Row::default().digest());
        table
    }

    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    pub fn tree(&self) -> &SparseTree {
        &self.tree
    }

    pub fn get(&self, number: u32) -> Option<&Row> {
        self.rows.get(&number)
    }

    /// Listed rows by rising number.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &Row)> {
        self.rows.iter().map(|(number, row)| (*number, row))
    }

    /// An instrument's row: the one that its id names, if it is still this instrument's.
    pub fn by_id(&self, id: InstrumentId) -> Result<(u32, &Row), TableError> {
        let number = row_of(id.0);
        let row = self.rows.get(&number).filter(|row| row.params.id == id);
        row.map(|row| (number, row)).ok_or(TableError::Unlisted(id))
    }

    /// Writes rows and hashes the nodes above them once.
    pub fn set_many(
        &mut self,
        rows: impl IntoIterator<Item = (u32, Row)>,
    ) -> Result<(), TableError> {
        let rows: BTreeMap<u32, Row> = rows.into_iter().collect();
        let digests = Row::digests(&rows.values().collect::<Vec<_>>());
        self.tree.set_many(rows.keys().copied().zip(digests))?;
        self.rows.extend(rows);
        Ok(())
    }

    /// The part of the tree that updating these rows opens.
    pub fn open(&self, numbers: impl IntoIterator<Item = u32>) -> Result<PartialTree, TableError> {
        Ok(PartialTree::of(&self.tree, numbers)?)
    }

    /// Rows that an epoch of this round must read whatever its entries: those that [T3] would
    /// call stale, and those with insurance inventory \[Q6\].
    pub fn must_read(&self, round: u32) -> impl Iterator<Item = u32> {
        let must = move |row: &Row| row.insurance_size != 0 || is_stale(row, round);
        self.rows
            .iter()
            .filter(move |(_, row)| must(row))
            .map(|(number, _)| *number)
    }

    /// \[T3\] What the scan shows of rows′: no row with open interest is too old, and each with
    /// insurance inventory has this round.
    pub fn check_ages(&self, round: u32) -> Result<(), TableError> {
        for (&number, row) in &self.rows {
            if is_stale(row, round) {
                return Err(TableError::Stale {
                    row: number,
                    last: row.round,
                    round,
                });
            }
            if row.insurance_size != 0 && row.round != round {
                return Err(TableError::Inventory { row: number, round });
            }
        }
        Ok(())
    }
}

fn is_stale(row: &Row, round: u32) -> bool {
    let age = round.saturating_sub(row.round);
    (row.open_long != 0 || row.open_short != 0) && u64::from(age) > MAX_ROW_AGE
}

/// An unlisted row's digest.
pub fn row_digest(row: Option<&Row>) -> Digest {
    row.map_or(EMPTY, Row::digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::RowParams;
    use crate::tree::verify;

    fn row(id: u32, round: u32) -> Row {
        let params = RowParams {
            id: InstrumentId(id),
            ..RowParams::default()
        };
        Row {
            params,
            round,
            ..Row::default()
        }
    }

    #[test]
    fn s7_the_table_starts_with_the_quote_row_alone() {
        let table = Table::genesis();
        assert_eq!(table.rows().count(), 1);
        assert_eq!(table.by_id(InstrumentId(0)).unwrap(), (0, &Row::default()));
        assert!(verify(
            table.root(),
            0,
            Row::default().digest(),
            &table.tree().path(0)
        ));
        assert!(verify(table.root(), 3, EMPTY, &table.tree().path(3)));
        assert_eq!(row_digest(table.get(3)), EMPTY);
    }

    #[test]
    fn t3_a_row_with_open_interest_may_be_64_rounds_old() {
        let mut table = Table::genesis();
        let held = Row {
            open_long: 1,
            ..row(3, 100)
        };
        table.set_many([(3, held), (4, row(4, 1))]).unwrap();
        assert_eq!(table.check_ages(164), Ok(()));
        assert_eq!(table.check_ages(165).unwrap_err().code(), "T3.stale");
        assert_eq!(table.must_read(164).count(), 0);
        assert_eq!(table.must_read(165).collect::<Vec<_>>(), [3]);
        table
            .set_many([(
                3,
                Row {
                    open_long: 0,
                    open_short: 1,
                    ..held
                },
            )])
            .unwrap();
        assert_eq!(table.check_ages(165).unwrap_err().code(), "T3.stale");
        table.set_many([(3, Row { round: 165, ..held })]).unwrap();
        assert_eq!(table.check_ages(165), Ok(()));
    }

    #[test]
    fn q6_a_row_with_insurance_inventory_is_read_in_every_epoch() {
        let mut table = Table::genesis();
        table
            .set_many([(
                3,
                Row {
                    insurance_size: -2,
                    open_short: 2,
                    ..row(3, 9)
                },
            )])
            .unwrap();
        assert_eq!(table.check_ages(9), Ok(()));
        assert_eq!(
            table.check_ages(10).unwrap_err().code(),
            "Q6.inventory_unread"
        );
        assert_eq!(table.must_read(10).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn t7_an_old_id_does_not_name_the_new_instrument() {
        let mut table = Table::genesis();
        table.set_many([(3, row(1027, 9))]).unwrap();
        assert_eq!(table.by_id(InstrumentId(1027)).unwrap().0, 3);
        assert_eq!(
            table.by_id(InstrumentId(3)).unwrap_err().code(),
            "T3.unlisted"
        );
        assert_eq!(
            table.set_many([(1024, row(3, 9))]).unwrap_err().code(),
            "S2.index"
        );
    }
}
