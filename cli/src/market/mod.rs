//! The simulated market: prices from bars, reporters, agents, a matcher.
pub mod path;
