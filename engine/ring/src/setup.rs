//! Creating a ring, and finding out before that whether this machine can: each refusal says the remedy.

use std::fmt;

use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

/// Sizes of one ring.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Connections at once; one more is refused by [`Ring::adopt`](crate::Ring::adopt).
    pub connections_max: u32,
    /// Entries of the submission queue, a power of two; a full queue is submitted early.
    pub submission_entries: u32,
    /// Buffers for inbound bytes at most, a power of two of at most 32 768. Too few: receives wait in the
    /// starved list under bursts.
    pub receive_buffers: u16,
    /// How many of them are in use from the beginning; their number doubles when they run out, and halves by
    /// [`Ring::trim`](crate::Ring::trim) when they are not needed. Too many: idle memory, for the kernel uses them in turn.
    pub receive_buffers_kept: u16,
    /// Size of one such buffer.
    pub receive_buffer_bytes: u32,
}

impl RingConfig {
    /// Memory that the buffers may come to hold.
    #[must_use]
    pub fn receive_bytes_max(&self) -> u64 {
        u64::from(self.receive_buffers) * u64::from(self.receive_buffer_bytes)
    }

    /// Entries of the completion queue: twice the operations that can be in flight (a receive and one
    /// other per connection), up to 8192: 128 KiB, all of which is in use before long. More completions at
    /// once are kept by the kernel (IORING_FEAT_NODROP), at a cost.
    #[must_use]
    pub fn completion_entries(&self) -> u32 {
        const COMPLETION_ENTRIES_MAX: u32 = 8_192;
        let wanted = self.connections_max.saturating_mul(4).saturating_add(64);
        wanted
            .max(2 * self.submission_entries)
            .checked_next_power_of_two()
            .map_or(COMPLETION_ENTRIES_MAX, |entries| {
                entries.min(COMPLETION_ENTRIES_MAX)
            })
    }
}

/// Why no ring could be set up. The text names the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The kernel was built without io_uring or is older than 5.1.
    NotSupported,
    /// `kernel.io_uring_disabled` or a seccomp filter forbids it.
    NotPermitted,
    /// The kernel lacks a setup flag; 6.1 has all.
    KernelTooOld,
    /// The kernel lacks an operation.
    OperationMissing(&'static str),
    /// Locked memory or memory is short.
    OutOfMemory,
    /// The file limit is reached.
    OutOfDescriptors,
    /// Anything else.
    Other(std::io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSupported => f.write_str(
                "this kernel has no io_uring; run Linux 6.1 or later, built with CONFIG_IO_URING",
            ),
            Self::NotPermitted => f.write_str(
                "io_uring is forbidden here; set `sysctl kernel.io_uring_disabled=0`, and in a container \
                 allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile",
            ),
            Self::KernelTooOld => {
                f.write_str("this kernel's io_uring lacks SINGLE_ISSUER or DEFER_TASKRUN; run Linux 6.1 or later")
            }
            Self::OperationMissing(name) => {
                write!(f, "this kernel's io_uring lacks {name}; run Linux 6.1 or later")
            }
            Self::OutOfMemory => f.write_str(
                "no memory for an io_uring; raise the locked-memory limit (`ulimit -l`, LimitMEMLOCK=) or lower the connection limit",
            ),
            Self::OutOfDescriptors => {
                f.write_str("the file limit is reached; raise it (`ulimit -n`, LimitNOFILE=)")
            }
            Self::Other(error) => write!(f, "io_uring can't be set up: {error}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl From<std::io::Error> for SetupError {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSYS) => Self::NotSupported,
            Some(Errno::PERM | Errno::ACCESS) => Self::NotPermitted,
            Some(Errno::INVAL) => Self::KernelTooOld,
            Some(Errno::NOMEM) => Self::OutOfMemory,
            Some(Errno::MFILE | Errno::NFILE) => Self::OutOfDescriptors,
            _ => Self::Other(error),
        }
    }
}

/// What the start-up probe found; for the banner and for bug reports.
#[derive(Clone, Debug)]
pub struct KernelFeatures {
    /// Kernel release as uname(2) gives it.
    pub release: String,
}

impl fmt::Display for KernelFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Linux {}: multishot accept and receive, buffer ring, deferred task work, single issuer",
            self.release
        )
    }
}

/// Looks whether rings can be set up here and can do all that this crate asks of them.
///
/// # Errors
/// What is missing, with its remedy; the caller refuses to start or takes another driver.
pub fn probe() -> Result<KernelFeatures, SetupError> {
    let ring = build(8, 16)?;
    let mut supported = Probe::new();
    ring.submitter().register_probe(&mut supported)?;
    for (name, code) in [
        ("accept", opcode::AcceptMulti::CODE),
        ("receive", opcode::RecvMulti::CODE),
        ("send", opcode::Send::CODE),
        ("poll", opcode::PollAdd::CODE),
        ("cancel", opcode::AsyncCancel2::CODE),
    ] {
        if !supported.is_supported(code) {
            return Err(SetupError::OperationMissing(name));
        }
    }
    // Multishot receive came with 6.0 and has no probe of its own; DEFER_TASKRUN, which `build` asked
    // for, came with 6.1 and therefore implies it and the buffer rings of 5.19.
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    Ok(KernelFeatures { release })
}

/// Creates the kernel's ring. SINGLE_ISSUER ties it to the calling thread.
pub(crate) fn build(
    submission_entries: u32,
    completion_entries: u32,
) -> Result<IoUring, SetupError> {
    // Without DEFER_TASKRUN each inbound completion interrupts the thread: twice the inbound cost.
    // TASKRUN_FLAG lets a submit see that completions wait; SUBMIT_ALL goes on after a refused entry.
    Ok(IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completion_entries)
        .build(submission_entries)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_passes_the_probe() {
        let features = probe().unwrap();
        assert!(!features.release.is_empty());
    }

    #[test]
    fn the_completion_queue_holds_twice_what_is_in_flight_up_to_a_limit() {
        let config = |connections_max| RingConfig {
            connections_max,
            submission_entries: 256,
            receive_buffers: 1,
            receive_buffers_kept: 1,
            receive_buffer_bytes: 1,
        };
        assert_eq!(config(1).completion_entries(), 512);
        assert_eq!(config(1_000).completion_entries(), 4_096);
        assert_eq!(config(u32::MAX).completion_entries(), 8_192);
    }

    #[test]
    fn each_refusal_says_a_remedy() {
        for errno in [
            Errno::NOSYS,
            Errno::PERM,
            Errno::INVAL,
            Errno::NOMEM,
            Errno::MFILE,
        ] {
            let text = SetupError::from(std::io::Error::from(errno)).to_string();
            assert!(
                text.contains("run ") || text.contains("set ") || text.contains("raise "),
                "{text}"
            );
        }
    }
}
