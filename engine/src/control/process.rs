//! What the kernel says about this process.

use std::fs;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// One reading; what can't be read is `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessReading {
    /// User and system time of all threads.
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_descriptors: Option<u64>,
    pub(super) descriptors_max: Option<u64>,
}

impl ProcessReading {
    /// Cost: a few system calls, whatever the number of connections.
    pub(super) fn take() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let (virtual_bytes, resident_bytes) = memory_bytes().unzip();
        Self {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes,
            virtual_bytes,
            open_descriptors: open_descriptors(),
            descriptors_max: getrlimit(Resource::Nofile).current,
        }
    }
}

/// Virtual and resident (proc_pid_statm(5): pages).
fn memory_bytes() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_ascii_whitespace().map(str::parse::<u64>);
    let page = rustix::param::page_size() as u64;
    Some((pages.next()?.ok()? * page, pages.next()?.ok()? * page))
}

/// Since Linux 6.2 the directory's size is their number. Counting 100 000 entries instead would hold ingest up
/// for tens of milliseconds, so an older kernel's is not known.
fn open_descriptors() -> Option<u64> {
    fs::metadata("/proc/self/fd")
        .ok()
        .map(|metadata| metadata.len())
        .filter(|&count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_plausible() {
        let reading = ProcessReading::take();
        assert!(reading.cpu_seconds > 0.0);
        let (resident, virtual_) = (
            reading.resident_bytes.unwrap(),
            reading.virtual_bytes.unwrap(),
        );
        assert!(1 << 20 < resident && resident < virtual_);
        let counted = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        if let Some(open) = reading.open_descriptors {
            // Other tests open and close some.
            assert!(open.abs_diff(counted) < 64, "{open} {counted}");
            assert!(open <= reading.descriptors_max.unwrap_or(u64::MAX));
        }
    }
}
