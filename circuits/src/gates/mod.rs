//! Custom gates, each of degree at most 4 so that selectors stay cheap.

pub mod range;
