//! What the server's processes take, read from `/proc` (proc_pid_stat(5), proc_pid_statm(5)).
//!
//! CPU time is user and system time of all their threads; work that the kernel does for them elsewhere
//! (soft interrupts on other threads) is not in it. Memory is what is resident of theirs; socket buffers
//! are the kernel's and not in it.

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// The processes to watch.
#[derive(Clone, Debug)]
pub struct ServerProcesses {
    pids: Vec<u32>,
}

/// What they took up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerUse {
    /// CPU time since they started.
    pub cpu: Duration,
    /// Resident memory.
    pub rss_bytes: u64,
}

impl ServerProcesses {
    /// Watches these; none is allowed.
    #[must_use]
    pub const fn new(pids: Vec<u32>) -> Self {
        Self { pids }
    }

    /// What all take together; `None` without processes, or when one of them is gone.
    #[must_use]
    pub fn read(&self) -> Option<ServerUse> {
        let mut sum = ServerUse::default();
        for pid in &self.pids {
            sum.cpu += cpu(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
            sum.rss_bytes += rss_bytes(&fs::read_to_string(format!("/proc/{pid}/statm")).ok()?)?;
        }
        (!self.pids.is_empty()).then_some(sum)
    }

    /// The command line of the first, for the report.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let words = fs::read(format!("/proc/{}/cmdline", self.pids.first()?)).ok()?;
        let words: Vec<_> = words
            .split(|&byte| byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        Some(words.join(" ").trim().to_owned())
    }

    /// Their numbers.
    #[must_use]
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }
}

fn cpu(stat: &str) -> Option<Duration> {
    // The name may hold anything, also spaces and parentheses; it ends at the last one.
    let (_, fields) = stat.rsplit_once(')')?;
    // utime and stime are the fields 14 and 15; behind the name stands field 3.
    let mut times = fields.split_whitespace().skip(11);
    let ticks: u64 = times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?;
    Some(Duration::from_secs_f64(
        ticks as f64 / clock_ticks_per_second() as f64,
    ))
}

fn rss_bytes(statm: &str) -> Option<u64> {
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

/// Bytes per hour by which the resident memory grew: the slope of the least-squares line through
/// (time, bytes). `None` with fewer than ten samples.
#[must_use]
pub fn growth_bytes_per_hour(samples: &[(Duration, u64)]) -> Option<f64> {
    const SAMPLES_MIN: usize = 10;
    const HOUR_SECONDS: f64 = 3_600.0;
    if samples.len() < SAMPLES_MIN {
        return None;
    }
    let count = samples.len() as f64;
    let points = || {
        samples
            .iter()
            .map(|(at, bytes)| (at.as_secs_f64(), *bytes as f64))
    };
    let mean_x = points().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points().map(|(_, y)| y).sum::<f64>() / count;
    let (covariance, variance) = points().fold((0.0, 0.0), |(covariance, variance), (x, y)| {
        let dx = x - mean_x;
        (covariance + dx * (y - mean_y), variance + dx * dx)
    });
    (variance > 0.0).then(|| covariance / variance * HOUR_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_read_and_one_that_is_gone_can_not() {
        let processes = ServerProcesses::new(vec![std::process::id()]);
        assert!(processes.read().unwrap().rss_bytes > 100_000);
        assert!(processes.command().unwrap().contains("loadgen"));
        assert_eq!(ServerProcesses::new(vec![u32::MAX]).read(), None);
        assert_eq!(ServerProcesses::new(Vec::new()).read(), None);
    }

    #[test]
    fn a_name_may_look_like_fields() {
        let stat = "7 (a) 1 (b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0";
        let ticks = clock_ticks_per_second() as f64;
        assert_eq!(cpu(stat), Some(Duration::from_secs_f64(200.0 / ticks)));
        assert_eq!(cpu("7 (a"), None);
    }

    #[test]
    fn growth_is_the_slope() {
        let line = |bytes_per_second: u64| {
            let at = |second| {
                (
                    Duration::from_secs(second),
                    5_000 + bytes_per_second * second,
                )
            };
            Vec::from_iter((0..20).map(at))
        };
        let growth = growth_bytes_per_hour(&line(10)).unwrap();
        assert!((growth - 36_000.0).abs() < 1.0, "{growth}");
        assert_eq!(growth_bytes_per_hour(&line(0)).map(f64::round), Some(0.0));
        assert_eq!(growth_bytes_per_hour(&line(10)[..5]), None);
    }
}
