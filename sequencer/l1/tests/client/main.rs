//! The client against development chains: the EVM in this process, and anvil where it is
//! installed. Every test runs on each.

mod chains;
mod deploy;
mod follow;
mod golden;
mod refusals;
mod scene;
mod settle;
mod submit;
