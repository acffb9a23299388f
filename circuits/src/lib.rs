//! The rules of Tally as Plonky2 constraints: gates, gadgets, segments and their aggregation, and a
//! checker that evaluates every constraint without proving.

pub mod batch;
pub mod builder;
pub mod bus;
pub mod checker;
pub mod context;
pub mod data;
pub mod epoch;
pub mod gadgets;
pub mod gates;
pub mod hash;
pub mod header;
pub mod hint;
pub mod instrument;
pub mod join;
pub mod journal;
pub mod ledger;
pub mod message;
pub mod order;
pub mod posting;
pub mod row;
pub mod scan;
pub mod segment;
pub mod signature;
pub mod span;
pub mod summary;
pub mod terms;
pub mod tick;
pub mod uniform;
pub mod witness;

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::plonk::config::PoseidonGoldilocksConfig;

pub use builder::{Builder, D, config};
pub use tally_protocol::hash::F;

/// GF(p²), in which challenges and bus sums live.
pub type Ext = QuadraticExtension<F>;
/// Plonky2's choice of hash and field for every proof.
pub type Config = PoseidonGoldilocksConfig;
