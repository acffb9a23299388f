//! What calls cost, by kind: gas of whole transactions, calldata and the 21,000 included.

use std::collections::BTreeMap;

use alloy::rpc::types::TransactionReceipt;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    pub calls: u64,
    pub least: u64,
    pub mean: u64,
    pub most: u64,
}

#[derive(Debug, Default)]
pub struct Gas(BTreeMap<&'static str, Vec<u64>>);

impl Gas {
    /// Of a call that was made; what an earlier run did has no receipt.
    pub fn note(&mut self, call: &'static str, receipt: Option<&TransactionReceipt>) {
        if let Some(receipt) = receipt {
            self.0.entry(call).or_default().push(receipt.gas_used);
        }
    }

    /// `None` where there was no such call.
    pub fn total(&self, call: &str) -> Option<u64> {
        self.0.get(call).map(|spent| spent.iter().sum())
    }

    pub fn costs(&self) -> BTreeMap<&'static str, Cost> {
        let cost = |spent: &Vec<u64>| {
            let calls = spent.len() as u64;
            Cost {
                calls,
                least: spent.iter().copied().min().unwrap_or_default(),
                mean: spent.iter().sum::<u64>() / calls.max(1),
                most: spent.iter().copied().max().unwrap_or_default(),
            }
        };
        self.0
            .iter()
            .map(|(call, spent)| (*call, cost(spent)))
            .collect()
    }
}
