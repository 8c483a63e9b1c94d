//! What a thread measures: histograms and counts, merged after the run.
//!
//! A histogram covers 1 µs to an hour with 3 significant digits, in about 180 KiB, and recording is a
//! few nanoseconds: one per thread, no sharing. What is longer than an hour is recorded as an hour.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clock::micros;
use crate::message::Notice;
use crate::timeline::Timeline;

/// Why and how often.
pub type Reasons = BTreeMap<String, u64>;

/// Distribution of times in microseconds.
#[derive(Clone, Debug)]
pub struct Times {
    histogram: Histogram<u64>,
}

/// The longest time that is told apart.
const HOUR_MICROS: u64 = 3_600_000_000;

impl Default for Times {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HOUR_MICROS, 3);
        Self {
            histogram: histogram.expect("bounds and digits are within the crate's limits"),
        }
    }
}

impl Times {
    /// Records one; `false` when it was longer than an hour.
    pub fn record_micros(&mut self, micros: u64) -> bool {
        self.histogram.saturating_record(micros);
        micros <= HOUR_MICROS
    }

    /// Records one.
    pub fn record(&mut self, time: Duration) {
        self.record_micros(micros(time));
    }

    /// Takes in the samples of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("all have the same bounds");
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The time that `percent` of the samples do not exceed; `None` without samples.
    #[must_use]
    pub fn percentile_micros(&self, percent: f64) -> Option<u64> {
        (self.count() > 0).then(|| self.histogram.value_at_percentile(percent))
    }

    /// The longest; `None` without samples.
    #[must_use]
    pub fn max_micros(&self) -> Option<u64> {
        (self.count() > 0).then(|| self.histogram.max())
    }

    /// The recorded buckets: (microseconds, how many), ascending.
    #[must_use]
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        self.histogram
            .iter_recorded()
            .map(|point| (point.value_iterated_to(), point.count_at_value()))
            .collect()
    }

    /// For writers of formats.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// The mean; `None` without samples.
    #[must_use]
    pub fn mean_micros(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.histogram.mean())
    }

    /// The curve (percent, microseconds), dense towards 100, for drawing.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, u64)> {
        /// Points each time that the distance to 100 percent halves.
        const POINTS_PER_HALVING: u32 = 2;
        let points = self.histogram.iter_quantiles(POINTS_PER_HALVING);
        points
            .map(|point| (point.percentile(), point.value_iterated_to()))
            .collect()
    }
}

/// Messages by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageCounts {
    /// Values, alone or in batches, snapshots included.
    pub values: u64,
    /// Values of symbols that were not asked for.
    pub unasked_values: u64,
    /// Values received while the window was open, by time of receipt.
    pub values_in_window: u64,
    /// Bytes received while the window was open, frame headers included.
    pub bytes_in_window: u64,
    /// Names that answers to `subscribe` rejected.
    pub rejected_names: u64,
    /// `skipped` notices.
    pub skipped_notices: u64,
    /// Values that those say were left out, at any time of the run.
    pub skipped_values: u64,
    /// `error` messages by code.
    pub errors: Reasons,
    /// Other messages by type.
    pub notices: BTreeMap<Notice, u64>,
    /// Text messages that are no JSON object of the wire.
    pub malformed: u64,
    /// Binary messages; none was negotiated.
    pub binary: u64,
    /// WebSocket pings, each answered.
    pub pings: u64,
    /// Text messages that took the parser, not the scanner.
    pub parsed: u64,
}

/// How long connecting takes, and its parts.
#[derive(Clone, Debug, Default)]
pub struct ConnectTimes {
    /// TCP connect to the answer to `subscribe`.
    pub whole: Times,
    /// Until the kernel says that TCP is connected; it may say so before the server accepts.
    pub tcp: Times,
    /// From then until the response to the upgrade: a server that accepts late shows here.
    pub upgrade: Times,
    /// From then until the answer to `subscribe`.
    pub subscribe: Times,
    /// Time of dialing minus the time at which it was due: connections that are slow to come about hold
    /// up those behind them when too many are on their way.
    pub dial_lateness: Times,
}

impl ConnectTimes {
    fn merge(&mut self, other: &Self) {
        self.whole.merge(&other.whole);
        self.tcp.merge(&other.tcp);
        self.upgrade.merge(&other.upgrade);
        self.subscribe.merge(&other.subscribe);
        self.dial_lateness.merge(&other.dial_lateness);
    }
}

/// Everything that one receive thread measures besides the audit.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// Values over time, and their latency: receipt minus intended time, of values of the window, first
    /// arrivals only.
    pub timeline: Timeline,
    /// How clients get on.
    pub connect: ConnectTimes,
    /// The longest time in the window for which each connection heard nothing; one sample each.
    pub silence: Times,
    /// Connections that were up at the end and heard nothing in the last fifth of the window.
    pub fell_silent: u64,
    /// Latencies beyond the range of the histogram, recorded as its end.
    pub clamped: u64,
    /// Values that arrived before their intended time: the clock was set, or another host published.
    pub before_intended: u64,
    /// Messages by kind.
    pub messages: MessageCounts,
    /// Connections that were not established, by reason.
    pub failures: Reasons,
    /// Established connections that ended early, by reason.
    pub losses: Reasons,
    /// Codes of close frames; 1005 (RFC 6455, section 7.1.5) for one without.
    pub close_codes: BTreeMap<u16, u64>,
}

impl Recorder {
    /// Takes in what another thread measured.
    pub fn merge(&mut self, other: &Self) {
        self.timeline.merge(&other.timeline);
        self.connect.merge(&other.connect);
        self.silence.merge(&other.silence);
        self.fell_silent += other.fell_silent;
        self.clamped += other.clamped;
        self.before_intended += other.before_intended;
        self.messages.merge(&other.messages);
        add(&mut self.failures, &other.failures);
        add(&mut self.losses, &other.losses);
        add(&mut self.close_codes, &other.close_codes);
    }
}

impl MessageCounts {
    /// Counts one notice.
    pub fn notice(&mut self, notice: Notice) {
        *self.notices.entry(notice).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.values += other.values;
        self.unasked_values += other.unasked_values;
        self.values_in_window += other.values_in_window;
        self.bytes_in_window += other.bytes_in_window;
        self.rejected_names += other.rejected_names;
        self.skipped_notices += other.skipped_notices;
        self.skipped_values += other.skipped_values;
        add(&mut self.errors, &other.errors);
        add(&mut self.notices, &other.notices);
        self.malformed += other.malformed;
        self.binary += other.binary;
        self.pings += other.pings;
        self.parsed += other.parsed;
    }
}

/// Counts `reason`. At most so many different ones are kept apart, the rest as `other`: they come
/// from the peer.
pub fn count(reasons: &mut Reasons, reason: &str) {
    const REASONS_MAX: usize = 100;
    let known = reasons.len() < REASONS_MAX || reasons.contains_key(reason);
    let reason = if known { reason } else { "other" };
    *reasons.entry(reason.to_owned()).or_default() += 1;
}

fn add<K: Ord + Clone>(to: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *to.entry(key.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_two_threads_are_one_distribution() {
        let (mut a, mut b) = (Times::default(), Times::default());
        (1..=50).for_each(|ms| a.record(Duration::from_millis(ms)));
        (51..=100).for_each(|ms| b.record(Duration::from_millis(ms)));
        a.merge(&b);
        assert_eq!(a.count(), 100);
        let p99 = a.percentile_micros(99.0).unwrap();
        assert!(p99.abs_diff(99_000) <= 99, "three digits: {p99}");
        assert!(a.curve().len() > 10);
    }

    #[test]
    fn no_sample_has_no_percentile_and_a_day_is_an_hour() {
        let mut times = Times::default();
        assert_eq!(times.percentile_micros(50.0), None);
        times.record(Duration::from_secs(86_400));
        assert!(times.max_micros().unwrap() >= 3_600_000_000);
    }

    #[test]
    fn reasons_from_the_peer_are_bounded() {
        let mut reasons = Reasons::new();
        (0..1_000).for_each(|n| count(&mut reasons, &n.to_string()));
        assert!(reasons.len() <= 101);
        assert_eq!(reasons.values().sum::<u64>(), 1_000);
    }
}
