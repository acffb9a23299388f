//! The chains under test.

use alloy::providers::DynProvider;
use tally_l1::embedded::EmbeddedChain;
use tally_l1::{Anvil, connect};

/// A chain that ends with this.
pub struct TestChain {
    pub provider: DynProvider,
    pub name: &'static str,
    _anvil: Option<Anvil>,
}

/// The one in this process, and anvil where npm installed it.
pub fn chains() -> Vec<TestChain> {
    let embedded = TestChain {
        provider: EmbeddedChain::new().provider(),
        name: "embedded",
        _anvil: None,
    };
    let anvil = Anvil::start().unwrap().map(|anvil| TestChain {
        provider: connect(&anvil.url()).unwrap(),
        name: "anvil",
        _anvil: Some(anvil),
    });
    [Some(embedded), anvil].into_iter().flatten().collect()
}
