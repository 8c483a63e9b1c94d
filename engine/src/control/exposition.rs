//! Writes metric families in the order and with the names that they are given.

use std::collections::HashSet;
use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use crate::shard::histogram::{BOUNDS_NS, DurationHistogram};

/// The encoder, with one call per family.
pub(super) struct Exposition<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl<'a> Exposition<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self { encoder }
    }

    /// A counter without labels. `name` ends in `_total`, as it is exposed.
    pub(super) fn counter(
        &mut self,
        name: &'static str,
        help: &str,
        value: impl EncodeCounterValue,
    ) -> fmt::Result {
        self.encoder
            .encode_descriptor(without_suffix(name), help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// A counter per label set. `name` ends in `_total`, as it is exposed.
    pub(super) fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &'static str,
        help: &str,
        series: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(
            without_suffix(name),
            help,
            None,
            MetricType::Counter,
        )?;
        for (labels, value) in series {
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// A gauge without labels.
    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        help: &str,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    /// A histogram per label set.
    pub(super) fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        name: &'static str,
        help: &str,
        series: impl IntoIterator<Item = (L, &'h DurationHistogram)>,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in series {
            let bounds = BOUNDS_NS.iter().map(|bound| seconds(*bound));
            let buckets: Vec<(f64, u64)> = bounds
                .chain([f64::INFINITY])
                .zip(histogram.counts().iter().copied())
                .collect();
            let count = histogram.counts().iter().sum();
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(
                    seconds(histogram.sum_ns()),
                    count,
                    &buckets,
                    None,
                )?;
        }
        Ok(())
    }

    /// A gauge per label set.
    pub(super) fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &'static str,
        help: &str,
        series: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

/// The same in the text format 0.0.4, which has the family of a counter named as its samples are.
pub(super) fn plain(openmetrics: &str) -> String {
    let counters: HashSet<&str> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(keyword), Some(family), Some(rest)) if counters.contains(family) => {
                text.push_str(&format!("# {keyword} {family}_total {rest}"));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// Of a bound: exact in decimal, since bounds are multiples of 10 µs.
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// The encoder appends it.
fn without_suffix(name: &'static str) -> &'static str {
    name.strip_suffix("_total").unwrap_or(name)
}
