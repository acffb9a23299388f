//! Why bytes are not the data of a batch, or not those of the batch that is next.

use thiserror::Error;

use super::{ELEMENT_BYTES, STATEMENT_WORDS, statement::BATCH_VERSION};
use crate::hash::Digest;
use crate::table::TableError;
use crate::tree::TreeError;

/// Word indices count from the start of d.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DataError {
    #[error("[P6] {bytes} bytes are not a list of {ELEMENT_BYTES}-byte elements")]
    Bytes { bytes: usize },
    #[error("[P6] element {index} is {value}, which does not fit {ELEMENT_BYTES} bytes")]
    Element { index: usize, value: u64 },
    #[error("[P6] {got} elements, the statement alone has {STATEMENT_WORDS}")]
    Short { got: usize },
    #[error("[P6] layout version {got}, this program reads {BATCH_VERSION}")]
    Version { got: u64 },
    #[error("[P6] the statement counts {stated} elements, there are {got}")]
    Length { stated: u64, got: usize },
    #[error("[P6] word {index} is {value}, a half has 32 bits")]
    Half { index: usize, value: u64 },
    #[error("[P6] words {index} and {} are a residue plus p, an alias", index.saturating_add(1))]
    Aliased { index: usize },
    #[error("[P6] the data end inside the {record} at word {index}")]
    Cut { record: &'static str, index: usize },
    #[error("[P6] word {index}, {what}, is {value}: out of its range")]
    Range {
        what: &'static str,
        index: usize,
        value: u64,
    },
    #[error("[P6] the statement counts {stated} records of {section}, there are {got}")]
    Sections {
        section: &'static str,
        stated: u64,
        got: u64,
    },
    #[error("[P5] the batch is for another chain or contract than those before it")]
    Domain,
    #[error("[P5] the batch begins with epoch {got} where {expected} is next")]
    Epoch { expected: u64, got: u64 },
    #[error("[P5] the batch does not start from the state where the one before ends")]
    Chain,
    #[error("[P6] account {id} exists and is created again")]
    Created { id: u32 },
    #[error("[P6] the data lead to the state root {got:?}, the batch states {stated:?}")]
    Root { stated: Digest, got: Digest },
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Table(#[from] TableError),
}

impl DataError {
    /// Stable name of the broken rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bytes { .. } => "P6.bytes",
            Self::Element { .. } => "P6.element",
            Self::Short { .. } => "P6.short",
            Self::Version { .. } => "P6.version",
            Self::Length { .. } => "P6.length",
            Self::Half { .. } => "P6.half",
            Self::Aliased { .. } => "P6.aliased",
            Self::Cut { .. } => "P6.cut",
            Self::Range { .. } => "P6.range",
            Self::Sections { .. } => "P6.sections",
            Self::Domain => "P5.domain",
            Self::Epoch { .. } => "P5.epoch",
            Self::Chain => "P5.state",
            Self::Created { .. } => "P6.created",
            Self::Root { .. } => "P6.root",
            Self::Tree(error) => error.code(),
            Self::Table(error) => error.code(),
        }
    }
}
