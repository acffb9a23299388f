//! What an operator watches, as Prometheus reads it.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Of a command's result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabel {
    /// `ok`, or the code of the refusal.
    pub code: &'static str,
}

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub commands: Family<CodeLabel, Counter>,
    pub fills: Counter,
    pub groups: Counter,
    /// Seconds from a command's arrival to its answer.
    pub ack_seconds: Histogram,
    /// Seconds of one group's synced write.
    pub commit_seconds: Histogram,
    pub position: Gauge<u64, AtomicU64>,
    pub epoch: Gauge<u64, AtomicU64>,
    pub waiting_priority: Gauge,
    pub waiting_orders: Gauge,
    pub waiting_queries: Gauge,
    pub listeners: Gauge,
    pub listeners_dropped: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        let mut metrics = Self {
            registry: Registry::with_prefix("tally"),
            commands: Family::default(),
            fills: Counter::default(),
            groups: Counter::default(),
            ack_seconds: seconds(),
            commit_seconds: seconds(),
            position: Gauge::default(),
            epoch: Gauge::default(),
            waiting_priority: Gauge::default(),
            waiting_orders: Gauge::default(),
            waiting_queries: Gauge::default(),
            listeners: Gauge::default(),
            listeners_dropped: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("commands", "Commands by result", self.commands.clone());
        registry.register("fills", "Fills", self.fills.clone());
        registry.register("groups", "Synced writes", self.groups.clone());
        let help = "From a command's arrival to its answer";
        registry.register("ack_seconds", help, self.ack_seconds.clone());
        let help = "One group's synced write";
        registry.register("commit_seconds", help, self.commit_seconds.clone());
        registry.register("position", "Last durable position", self.position.clone());
        registry.register("epoch", "Last closed epoch", self.epoch.clone());
        let lanes = [
            ("priority", &self.waiting_priority),
            ("orders", &self.waiting_orders),
            ("queries", &self.waiting_queries),
        ];
        for (lane, gauge) in lanes {
            let name = format!("waiting_{lane}");
            registry.register(name, "Waiting before the writer", gauge.clone());
        }
        let help = "WebSocket clients";
        registry.register("listeners", help, self.listeners.clone());
        let help = "WebSocket clients dropped for being slow";
        registry.register("listeners_dropped", help, self.listeners_dropped.clone());
    }

    pub fn count(&self, code: &'static str) {
        self.commands.get_or_create(&CodeLabel { code }).inc();
    }

    /// The text format; empty where it cannot be written.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_by_code() {
        let metrics = Metrics::default();
        metrics.count("ok");
        metrics.count("L4.margin");
        let text = metrics.text();
        assert!(
            text.contains("tally_commands_total{code=\"ok\"} 1"),
            "{text}"
        );
        assert!(text.contains("tally_commands_total{code=\"L4.margin\"} 1"));
    }
}
