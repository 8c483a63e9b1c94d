//! Room for descriptors: each connection needs one.

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The file limit after [`raise_file_limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// Descriptors this process may have open; `None` without limit.
    pub descriptors_max: Option<u64>,
}

/// Raises the soft file limit (RLIMIT_NOFILE) to the hard one; each connection needs a descriptor.
#[must_use]
pub fn raise_file_limit() -> FileLimit {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Refused only by a security module; what is in force then still holds.
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    FileLimit {
        descriptors_max: in_force,
    }
}

/// Has the kernel make the process's table of descriptors large enough for `count`, at most what the file limit permits.
///
/// Otherwise the table doubles as it fills, and while several threads share it, each doubling waits until no CPU looks at
/// the old one (`synchronize_rcu()` in the kernel's `fs/file.c`): an accept or connect takes 5 to 14 ms then. To be
/// called before other threads are started. Costs 8 bytes a descriptor in the kernel. Where it fails, the table doubles.
pub fn reserve_descriptors(count: u64) {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let highest = count.min(limit).saturating_sub(1);
    let Ok(highest) = i32::try_from(highest) else {
        return;
    };
    if let Ok(descriptor) = eventfd(0, EventfdFlags::CLOEXEC) {
        // The table stays as large as the highest number needs, when it is closed again at once.
        drop(fcntl_dupfd_cloexec(&descriptor, highest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places in the process's table of descriptors (proc_pid_status(5)).
    fn places() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
        line.unwrap().trim().parse().unwrap()
    }

    #[test]
    fn the_table_is_as_large_as_was_asked_for() {
        let limit = raise_file_limit().descriptors_max.unwrap_or(u64::MAX);
        let count = limit.min(3_000);
        reserve_descriptors(count);
        assert!(places() >= count);
        // As much as there may be, and no failure.
        reserve_descriptors(limit.min(100_000));
    }
}
