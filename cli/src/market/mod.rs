//! The simulated market: prices from bars, reporters, agents, a matcher.

mod admission;
pub mod agents;
pub mod book;
pub mod custody;
pub mod desk;
pub mod floor;
pub mod listing;
pub mod messages;
pub mod path;
pub mod reporters;
pub mod requests;
pub mod rescue;
pub mod setup;
pub mod sim;
pub mod trading;
pub mod wallet;
