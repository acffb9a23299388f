//! The queue: against a naive model, through crashes and kills, and its rules one by one.

mod kill;
mod model;
mod naive;
mod rules;
