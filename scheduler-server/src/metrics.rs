//! What `/metrics` tells: the engine's counts, read when asked for, and the size of the coordinator's database.

use std::sync::Arc;
use std::time::Duration;

use coordination::{Coordinator, Size};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use scheduler_core::time::Skew;
use tokio::sync::watch;

use crate::http::Metrics;
use crate::leader::Handle;

/// Between two questions for the size of the coordinator's database, which grows over hours.
const SIZES_EVERY: Duration = Duration::from_secs(30);

/// The text of all metrics, whenever it is called.
pub(crate) fn metrics(handle: Handle, sizes: watch::Receiver<Vec<Size>>) -> Metrics {
    let mut registry = Registry::with_prefix("punctual");
    registry.register_collector(Box::new(EngineMetrics(handle)));
    registry.register_collector(Box::new(SizeMetrics(sizes)));
    Arc::new(move || {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &registry) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    })
}

#[derive(Debug)]
struct EngineMetrics(Handle);

impl EngineMetrics {
    /// Of what is not measured nothing is told: zero would mean that it is right.
    fn encode_clocks(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let seconds = |skew: Skew| ConstGauge::new(skew.0 as f64 / 1_000_000.0);
        if let Some(skew) = self.0.glance().skew {
            let help = "How far this machine's clock is ahead of the ledger's";
            let unit = Some(&Unit::Seconds);
            let metric = encoder.encode_descriptor("clock_offset", help, unit, MetricType::Gauge)?;
            seconds(skew).encode(metric)?;
        }
        let help = "How far the clock of a connected agent's machine is ahead of the ledger's, as the leader sees it";
        let mut metric =
            encoder.encode_descriptor("agent_clock_offset", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (agent, skew) in self.0.agents_skews() {
            seconds(skew).encode(metric.encode_family(&[("agent", agent.0.as_str())])?)?;
        }
        Ok(())
    }
}

impl Collector for EngineMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let glance = self.0.glance();
        let stats = glance.stats;
        let known = i64::try_from(glance.jobs_known).unwrap_or(i64::MAX);
        let gauges = [
            ("leading", "Whether this node leads", i64::from(glance.leading)),
            ("jobs_known", "Jobs that this node leads with, or need not read before it does", known),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        let counters = [
            ("fires_entered", "Fires that became runs", stats.fires_entered),
            ("fires_missed", "Fires recorded as MISSED", stats.fires_missed),
            ("fires_skipped", "Fires recorded as SKIPPED", stats.fires_skipped),
            ("attempts_assigned", "Attempts handed out", stats.attempts_assigned),
            ("attempts_lost", "Attempts lost with their agent", stats.attempts_lost),
            ("runs_succeeded", "Runs that succeeded", stats.runs_succeeded),
            ("runs_failed", "Runs that failed or timed out", stats.runs_failed),
            ("ledger_transactions", "Transactions that the ledger was asked for", stats.transactions),
            ("take_overs", "Terms that this process has led", stats.take_overs),
        ];
        for (name, help, value) in counters {
            let metric: MetricEncoder<'_> = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        self.encode_clocks(&mut encoder)
    }
}

/// Never ends.
pub(crate) async fn keep_sizes(coordinator: Arc<dyn Coordinator>, sizes: watch::Sender<Vec<Size>>) {
    loop {
        sizes.send_replace(coordinator.sizes().await);
        tokio::time::sleep(SIZES_EVERY).await;
    }
}

#[derive(Debug)]
struct SizeMetrics(watch::Receiver<Vec<Size>>);

impl Collector for SizeMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sizes = self.0.borrow().clone();
        if sizes.is_empty() {
            return Ok(());
        }
        let help = "Size of etcd's database at each member, which takes no writes beyond its quota";
        let mut metric = encoder.encode_descriptor("etcd_database", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        for Size { endpoint, bytes } in sizes {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            gauge.encode(metric.encode_family(&[("endpoint", endpoint)])?)?;
        }
        Ok(())
    }
}
