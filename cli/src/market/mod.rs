//! The simulated market: prices from bars, reporters, agents, a matcher.

pub mod agents;
pub mod book;
pub mod desk;
pub mod listing;
pub mod path;
pub mod reporters;
