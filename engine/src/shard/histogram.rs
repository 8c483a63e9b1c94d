//! A histogram with fixed buckets: recording is one addition, reading is a copy.

/// Upper bounds of the buckets in nanoseconds, 1-2-5 from 10 µs to 10 s; what is above counts in one more.
pub const BOUNDS_NS: [u64; 19] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Durations by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    counts: [u64; BOUNDS_NS.len() + 1],
    sum_ns: u64,
    /// Most recordings repeat the last duration: all sends of a chunk carry the same batch.
    last: (u64, u8),
}

impl DurationHistogram {
    /// Counts one duration. Cost: about 1 ns for the same one as before, 5 ns for another.
    pub fn record(&mut self, duration_ns: u64) {
        if self.last.0 != duration_ns {
            let bucket = BOUNDS_NS.partition_point(|bound| *bound < duration_ns);
            self.last = (duration_ns, u8::try_from(bucket).expect("few buckets"));
        }
        self.counts[usize::from(self.last.1)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(duration_ns);
    }

    /// Counts by bucket, not cumulative; the last is what exceeds all bounds.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The sum of all durations.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_nothing_is_lost_above_the_last() {
        let mut histogram = DurationHistogram::default();
        for duration_ns in [0, 10_000, 10_001, 10_001, u64::MAX / 2, 5] {
            histogram.record(duration_ns);
        }
        assert_eq!(histogram.counts()[..2], [3, 2]);
        assert_eq!(histogram.counts().last(), Some(&1));
        assert_eq!(histogram.counts().iter().sum::<u64>(), 6);
    }
}
