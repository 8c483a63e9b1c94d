//! `GET /metrics`: one reading of everything, written as OpenMetrics text.
//!
//! Every value of every label is there from the start, at 0: a rate over a series that appears with its first
//! event would miss that event.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;
use tickwire_protocol::error_code::ErrorCode;
use tickwire_protocol::publication::RejectReason;

use super::AdminState;
use super::exposition::Exposition;
use super::process::ProcessReading;
use crate::ingest::orders::Ordered;
use crate::ingest::source_state::SourceHealth;
use crate::ingest::{IngestMetrics, Source};
use crate::interest::InterestCounts;
use crate::logging;
use crate::shard::histogram::DurationHistogram;
use crate::shard::metrics::{Action, Counters, HandshakeResult, ShardMetrics};
use crate::shard::{CloseReason, Ledger};

/// Of the text that [`Scrape::into_text`] makes.
pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Of that which [`plain`](super::exposition::plain) makes of it.
pub(super) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One reading.
#[derive(Debug)]
pub(super) struct Scrape {
    /// In their order.
    pub(super) shards: Vec<ShardMetrics>,
    pub(super) ingest: IngestMetrics,
    /// By name; 1 = up.
    pub(super) sources: Vec<(&'static str, u64)>,
    pub(super) interest: InterestCounts,
    pub(super) process: ProcessReading,
    pub(super) started_unix_seconds: f64,
}

impl Scrape {
    /// Reads everything. The ledger is exact per shard at the end of one of its turns; shards are not read at
    /// the same moment.
    pub(super) async fn collect(state: &AdminState) -> Self {
        let shards = state.shards.metrics().await;
        let up = |health| u64::from(health == SourceHealth::Up);
        Self {
            shards,
            ingest: state.pipeline.borrow().metrics(),
            sources: state
                .sources
                .iter()
                .map(|source| (source.name(), up(source.health())))
                .collect(),
            interest: state.interest.read(),
            process: ProcessReading::take(),
            started_unix_seconds: state.started_unix_seconds,
        }
    }

    pub(super) fn into_text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let out = &mut Exposition::new(encoder);
        self.encode_clients(out)?;
        self.encode_ingest(out)?;
        self.encode_interest(out)?;
        self.encode_ledger(out)?;
        self.encode_traffic(out)?;
        self.encode_latency(out)?;
        self.encode_memory(out)?;
        self.encode_process(out)
    }
}

impl Scrape {
    fn encode_clients(&self, out: &mut Exposition<'_>) -> fmt::Result {
        out.gauges(
            "tickwire_connections",
            "Open connections, by how their values are sent.",
            self.shards.iter().flat_map(|shard| {
                let modes = ShardMetrics::MODES.into_iter().zip(shard.connections);
                modes.map(|((_, mode), count)| {
                    (
                        [
                            ("shard", shard.shard.to_string()),
                            ("mode", mode.to_owned()),
                        ],
                        count,
                    )
                })
            }),
        )?;
        out.gauge(
            "tickwire_subscriptions",
            "Pairs of connection and channel.",
            self.sum(|shard| shard.subscriptions),
        )?;
        out.gauge(
            "tickwire_topics",
            "Channels published so far.",
            self.ingest.topics,
        )?;
        out.gauge(
            "tickwire_groups",
            "Distinct subscription sets, counted in each shard.",
            self.sum(|shard| shard.groups),
        )
    }

    fn encode_ingest(&self, out: &mut Exposition<'_>) -> fmt::Result {
        let ingest = &self.ingest;
        out.counters(
            "tickwire_ingest_updates_total",
            "Updates that got a sequence number, by source.",
            labelled("source", Source::LABELS, ingest.updates),
        )?;
        out.counters(
            "tickwire_ingest_rejected_total",
            "Payloads and batch elements refused, by reason.",
            labelled(
                "reason",
                RejectReason::ALL.map(RejectReason::as_str),
                ingest.rejected,
            ),
        )?;
        out.counter(
            "tickwire_ingest_duplicates_total",
            "Objects equal to the last of their channel within the duplicate window.",
            ingest.duplicates,
        )?;
        out.counter(
            "tickwire_ingest_keys_dropped_total",
            "Keys that objects lost because they were not in canonical form.",
            ingest.keys_dropped,
        )?;
        out.counter(
            "tickwire_ingest_paused_total",
            "Payloads dropped because the control channel had paused ingest.",
            ingest.paused,
        )?;
        out.counters(
            "tickwire_control_messages_total",
            "Messages of the control channel, by what became of them.",
            labelled("action", Ordered::LABELS, ingest.orders),
        )?;
        out.counters(
            "tickwire_mailbox_conflated_total",
            "Updates that a newer one replaced while the shard's mailbox was full.",
            ingest
                .conflated
                .iter()
                .enumerate()
                .map(|(shard, &count)| (shard_label(shard), count)),
        )?;
        out.gauge(
            "tickwire_ingest_lag_seconds",
            "Receipt of the newest update less its publisher's time stamp; NaN without one. The clocks may differ.",
            ingest.lag_seconds.unwrap_or(f64::NAN),
        )?;
        out.gauges(
            "tickwire_source_up",
            "Whether the source delivers.",
            self.sources
                .iter()
                .map(|&(source, up)| ([("source", source)], up)),
        )
    }

    fn encode_interest(&self, out: &mut Exposition<'_>) -> fmt::Result {
        out.gauge(
            "tickwire_interest_symbols",
            "Symbols that Redis is told this node watches, those that linger included.",
            self.interest.symbols,
        )?;
        out.counters(
            "tickwire_interest_publishes_total",
            "Attempts to tell Redis what this node watches, by result.",
            labelled("result", InterestCounts::RESULTS, self.interest.publishes),
        )
    }

    fn encode_ledger(&self, out: &mut Exposition<'_>) -> fmt::Result {
        type Entry = (&'static str, &'static str, fn(&Ledger) -> u64);
        const TOTALS: [Entry; 6] = [
            (
                "tickwire_ledger_offered_total",
                "Values assigned a sequence number while a client was subscribed.",
                |ledger| ledger.offered,
            ),
            (
                "tickwire_ledger_sent_total",
                "Values that the kernel accepted.",
                |ledger| ledger.sent,
            ),
            (
                "tickwire_ledger_skipped_total",
                "Values superseded before they were sent.",
                |ledger| ledger.skipped,
            ),
            (
                "tickwire_ledger_throttled_total",
                "Values left out because the client asked for fewer.",
                |ledger| ledger.throttled,
            ),
            (
                "tickwire_ledger_dropped_total",
                "Values of reliable channels lost to overload.",
                |ledger| ledger.dropped,
            ),
            (
                "tickwire_ledger_cancelled_total",
                "Values queued when the client unsubscribed or left.",
                |ledger| ledger.cancelled,
            ),
        ];
        const NOW: [Entry; 2] = [
            ("tickwire_ledger_queued", "Values waiting now.", |ledger| {
                ledger.queued
            }),
            (
                "tickwire_ledger_in_flight",
                "Values in a send, or partly sent, now.",
                |ledger| ledger.in_flight,
            ),
        ];
        let by_shard = |count: fn(&Ledger) -> u64| {
            self.shards
                .iter()
                .map(move |shard| (shard_label(shard.shard), count(&shard.ledger)))
        };
        for (name, help, count) in TOTALS {
            out.counters(name, help, by_shard(count))?;
        }
        for (name, help, count) in NOW {
            out.gauges(name, help, by_shard(count))?;
        }
        Ok(())
    }

    fn encode_traffic(&self, out: &mut Exposition<'_>) -> fmt::Result {
        out.counter(
            "tickwire_broadcasts_withheld_total",
            "Broadcasts that a client did not get because it does not read its replies.",
            self.sum(|shard| shard.counters.broadcasts_withheld),
        )?;
        out.counter(
            "tickwire_snapshots_sent_total",
            "Last values sent for a subscribe.",
            self.sum(|shard| shard.counters.snapshots),
        )?;
        out.counter(
            "tickwire_bytes_sent_total",
            "Bytes that the kernel accepted.",
            self.sum(|shard| shard.counters.bytes_sent),
        )?;
        out.counter(
            "tickwire_sends_total",
            "Sends to clients whose outcome is known.",
            self.sum(|shard| shard.counters.sends),
        )?;
        out.counters(
            "tickwire_closes_total",
            "Connections that ended, by reason.",
            labelled(
                "reason",
                CloseReason::ALL.map(CloseReason::as_str),
                self.sum_each(|shard| shard.counters.closes),
            ),
        )?;
        out.counters(
            "tickwire_handshakes_total",
            "Requests on the public listener, by how they ended.",
            labelled(
                "result",
                HandshakeResult::LABELS,
                self.sum_each(|shard| shard.counters.handshakes),
            ),
        )?;
        out.counters(
            "tickwire_messages_received_total",
            "Messages and control frames from clients.",
            labelled(
                "action",
                Action::LABELS,
                self.sum_each(|shard| shard.counters.messages),
            ),
        )?;
        out.counters(
            "tickwire_errors_sent_total",
            "Errors told to clients, by code.",
            labelled(
                "code",
                ErrorCode::ALL.map(ErrorCode::as_str),
                self.sum_each(|shard| shard.counters.errors),
            ),
        )
    }

    fn encode_latency(&self, out: &mut Exposition<'_>) -> fmt::Result {
        type Entry = (
            &'static str,
            &'static str,
            fn(&Counters) -> &DurationHistogram,
        );
        const STAGES: [Entry; 3] = [
            (
                "tickwire_ingest_to_submit_seconds",
                "From the receipt of the oldest value of a send to its submission to the kernel.",
                |counters| &counters.ingest_to_submit,
            ),
            (
                "tickwire_ingest_to_sent_seconds",
                "From the receipt of the oldest value of a send until the kernel had taken all of it.",
                |counters| &counters.ingest_to_sent,
            ),
            (
                "tickwire_turn_seconds",
                "Length of the shard's turns.",
                |counters| &counters.turns,
            ),
        ];
        for (name, help, histogram) in STAGES {
            let by_shard = self
                .shards
                .iter()
                .map(|shard| (shard_label(shard.shard), histogram(&shard.counters)));
            out.histograms(name, help, by_shard)?;
        }
        Ok(())
    }

    fn encode_memory(&self, out: &mut Exposition<'_>) -> fmt::Result {
        let resident = self.process.resident_bytes.map(|bytes| ("process", bytes));
        let holders = [
            ("frames", self.sum(|shard| shard.frames.1)),
            ("inbound", self.sum(|shard| shard.inbound_bytes)),
        ];
        out.gauges(
            "tickwire_memory_bytes",
            "Memory by holder; all of it is part of the resident memory of holder process.",
            holders
                .into_iter()
                .chain(resident)
                .map(|(holder, bytes)| ([("holder", holder)], bytes)),
        )
    }

    fn encode_process(&self, out: &mut Exposition<'_>) -> fmt::Result {
        out.counter(
            "tickwire_log_lines_lost_total",
            "Log lines that were not written because nobody read the log fast enough.",
            logging::lines_lost(),
        )?;
        let process = &self.process;
        out.counter(
            "process_cpu_seconds_total",
            "User and system CPU time in seconds.",
            process.cpu_seconds,
        )?;
        let readings = [
            (
                "process_resident_memory_bytes",
                "Resident memory.",
                process.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory.",
                process.virtual_bytes,
            ),
            (
                "process_open_fds",
                "Open file descriptors.",
                process.open_descriptors,
            ),
            (
                "process_max_fds",
                "File descriptors that may be open.",
                process.descriptors_max,
            ),
        ];
        for (name, help, value) in readings {
            if let Some(value) = value {
                out.gauge(name, help, value)?;
            }
        }
        out.gauge(
            "process_start_time_seconds",
            "Start of the process since the Unix epoch in seconds.",
            self.started_unix_seconds,
        )
    }

    fn sum(&self, count: impl Fn(&ShardMetrics) -> u64) -> u64 {
        self.shards.iter().map(count).sum()
    }

    fn sum_each<const N: usize>(&self, counts: impl Fn(&ShardMetrics) -> [u64; N]) -> [u64; N] {
        let mut sums = [0; N];
        for shard in &self.shards {
            for (sum, count) in sums.iter_mut().zip(counts(shard)) {
                *sum += count;
            }
        }
        sums
    }
}

fn labelled<const N: usize>(
    name: &'static str,
    labels: [&'static str; N],
    values: [u64; N],
) -> impl Iterator<Item = ([(&'static str, &'static str); 1], u64)> {
    labels
        .into_iter()
        .zip(values)
        .map(move |(label, value)| ([(name, label)], value))
}

fn shard_label(shard: usize) -> [(&'static str, String); 1] {
    [("shard", shard.to_string())]
}

#[cfg(test)]
mod tests;
