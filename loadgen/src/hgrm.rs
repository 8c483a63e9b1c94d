//! Latencies in HdrHistogram's percentile text format (`.hgrm`), which its plotters read.
//!
//! One line per percentile: the value in milliseconds, the share of samples that do not exceed it, how
//! many those are, and 1/(1 − share), the plotters' x axis; then three lines of comment that sum up.
//! It is what the reference implementation writes with five steps per halving and a scale of 1000.

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// Steps each time that the distance to 100 percent halves: the reference implementation's default.
const STEPS_PER_HALVING: u32 = 5;

const MICROS_PER_MILLI: f64 = 1_000.0;

/// Writes a histogram of microseconds.
///
/// # Errors
/// Those of `out`; part of the text may have been written.
pub fn write(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    let digits = usize::from(histogram.sigfig());
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut count = 0;
    for step in histogram.iter_quantiles(STEPS_PER_HALVING) {
        count += step.count_since_last_iteration();
        let millis = step.value_iterated_to() as f64 / MICROS_PER_MILLI;
        let share = step.quantile_iterated_to();
        write!(out, "{millis:12.digits$} {share:2.12} {count:10}")?;
        if share < 1.0 {
            write!(out, " {:14.2}", 1.0 / (1.0 - share))?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "#[Mean    = {:12.digits$}, StdDeviation   = {:12.digits$}]",
        histogram.mean() / MICROS_PER_MILLI,
        histogram.stdev() / MICROS_PER_MILLI
    )?;
    writeln!(
        out,
        "#[Max     = {:12.digits$}, Total count    = {:12}]",
        histogram.max() as f64 / MICROS_PER_MILLI,
        histogram.len()
    )?;
    writeln!(
        out,
        "#[Buckets = {:12}, SubBuckets     = {:12}]",
        histogram.buckets(),
        sub_buckets(histogram.sigfig())
    )
}

/// As many as tell all values up to twice ten to the power of `digits` apart, rounded up to a power
/// of two; the crate keeps its own count to itself.
fn sub_buckets(digits: u8) -> u64 {
    (2 * 10_u64.pow(digits.into())).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: impl IntoIterator<Item = (u64, u64)>, known: &str) {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        for (value, count) in values {
            histogram.record_n(value, count).unwrap();
        }
        let mut text = Vec::new();
        write(&histogram, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for (line, (ours, theirs)) in text.lines().zip(known.lines()).enumerate() {
            assert_eq!(ours, theirs, "line {}", line + 1);
        }
        assert_eq!(text, known);
    }

    /// `mixed.hgrm` was written by the reference implementation (Java, 2.1.11) from these values.
    #[test]
    fn a_long_tail_reads_as_the_reference_implementation_writes_it() {
        let mut state = 1_u64;
        let tail = (0..2_000).map(|_| {
            state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
            let root = state >> 16;
            (200 + root * root / 50_000, 1)
        });
        let values: Vec<_> = tail.chain([(350, 500), (1_234_567, 1)]).collect();
        check(values, include_str!("hgrm/mixed.hgrm"));
    }

    #[test]
    fn nothing_and_one_sample_read_as_the_reference_implementation_writes_them() {
        let head = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
        let foot = "#[Buckets =           22, SubBuckets     =         2048]\n";
        check(
            [],
            &format!(
                "{head}#[Mean    =        0.000, StdDeviation   =        0.000]\n\
                 #[Max     =        0.000, Total count    =            0]\n{foot}"
            ),
        );
        check(
            [(1_500, 1)],
            &format!(
                "{head}       1.500 0.000000000000          1           1.00\n       1.500 1.000000000000          1\n\
                 #[Mean    =        1.500, StdDeviation   =        0.000]\n\
                 #[Max     =        1.500, Total count    =            1]\n{foot}"
            ),
        );
    }
}
