//! Finding out whether glommio can run here, before it tries: it panics or ends the process where it can't.

use std::fmt;
use std::io;

use ::glommio::{GlommioError, ReactorErrorKind};
use io_uring::{IoUring, Probe, opcode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tickwire_ring::Errno;

/// glommio makes no executor with less.
const LOCKED_BYTES_MIN: u64 = 512 * 1024;

/// Why glommio can't run here. The text names the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The kernel was built without io_uring or is older than 5.1.
    NotSupported,
    /// `kernel.io_uring_disabled` or a seccomp filter forbids it.
    NotPermitted,
    /// The kernel lacks an operation that glommio insists on.
    OperationMissing(&'static str),
    /// The limit of locked memory, in bytes, is below what glommio insists on.
    LockedMemory(u64),
    /// The file limit is reached.
    OutOfDescriptors,
    /// Anything else.
    Other(io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSupported => f.write_str(
                "this kernel has no io_uring; run Linux 5.8 or later, built with CONFIG_IO_URING",
            ),
            Self::NotPermitted => f.write_str(
                "io_uring is forbidden here; set `sysctl kernel.io_uring_disabled=0`, and in a container \
                 allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile",
            ),
            Self::OperationMissing(name) => {
                write!(
                    f,
                    "this kernel's io_uring lacks {name}; run Linux 5.8 or later"
                )
            }
            Self::LockedMemory(limit) => write!(
                f,
                "{limit} bytes may be locked in memory, glommio needs {LOCKED_BYTES_MIN}; raise it \
                 (`ulimit -l`, LimitMEMLOCK=)"
            ),
            Self::OutOfDescriptors => {
                f.write_str("the file limit is reached; raise it (`ulimit -n`, LimitNOFILE=)")
            }
            Self::Other(error) => write!(f, "glommio can't be set up: {error}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl From<io::Error> for SetupError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSYS) => Self::NotSupported,
            Some(Errno::PERM | Errno::ACCESS) => Self::NotPermitted,
            Some(Errno::MFILE | Errno::NFILE) => Self::OutOfDescriptors,
            _ => Self::Other(error),
        }
    }
}

impl From<Errno> for SetupError {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

impl From<GlommioError<()>> for SetupError {
    fn from(error: GlommioError<()>) -> Self {
        match error {
            GlommioError::IoError(error) => error.into(),
            GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(limit, _)) => {
                Self::LockedMemory(limit)
            }
            error => Self::Other(io::Error::other(error.to_string())),
        }
    }
}

/// What the probe found; for the banner and for bug reports.
#[derive(Clone, Debug)]
pub struct KernelFeatures {
    /// Kernel release as uname(2) gives it.
    pub release: String,
}

impl fmt::Display for KernelFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "glommio 0.9 on Linux {}", self.release)
    }
}

/// Looks whether executors can be made here. Raises the limit of locked memory where that is missing and permitted.
///
/// # Errors
/// What is missing, with its remedy; the caller refuses to start.
pub fn probe() -> Result<KernelFeatures, SetupError> {
    raise_locked_memory_limit()?;
    let ring = IoUring::new(8)?;
    let mut supported = Probe::new();
    // Came with 5.6; a kernel without it has not all operations either.
    ring.submitter()
        .register_probe(&mut supported)
        .map_err(|_| SetupError::OperationMissing("probing"))?;
    // Those whose absence ends the process in glommio, without what every kernel with a probe has.
    for (name, code) in [
        ("read", opcode::Read::CODE),
        ("write", opcode::Write::CODE),
        ("send", opcode::Send::CODE),
        ("receive", opcode::Recv::CODE),
        ("accept", opcode::Accept::CODE),
        ("connect", opcode::Connect::CODE),
        ("poll", opcode::PollAdd::CODE),
        ("timeout", opcode::Timeout::CODE),
        ("linked timeout", opcode::LinkTimeout::CODE),
        ("open", opcode::OpenAt::CODE),
        ("close", opcode::Close::CODE),
        ("statx", opcode::Statx::CODE),
        ("fallocate", opcode::Fallocate::CODE),
    ] {
        if !supported.is_supported(code) {
            return Err(SetupError::OperationMissing(name));
        }
    }
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    Ok(KernelFeatures { release })
}

fn raise_locked_memory_limit() -> Result<(), SetupError> {
    let is_enough = |limit: Option<u64>| limit.is_none_or(|bytes| bytes >= LOCKED_BYTES_MIN);
    let limit = getrlimit(Resource::Memlock);
    if is_enough(limit.current) {
        return Ok(());
    }
    // Above the hard limit root may go, which is what the engine is in most containers.
    let wanted = match limit.maximum {
        hard if is_enough(hard) => hard,
        _ => Some(LOCKED_BYTES_MIN),
    };
    let raised = Rlimit {
        current: wanted,
        maximum: wanted,
    };
    if setrlimit(Resource::Memlock, raised).is_ok() {
        return Ok(());
    }
    Err(SetupError::LockedMemory(limit.current.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_passes_the_probe() {
        assert!(probe().unwrap().to_string().contains("Linux"));
    }

    #[test]
    fn each_refusal_says_a_remedy() {
        for error in [
            SetupError::from(Errno::NOSYS),
            SetupError::from(Errno::PERM),
            SetupError::from(Errno::MFILE),
            SetupError::OperationMissing("send"),
            SetupError::LockedMemory(65_536),
        ] {
            let text = error.to_string();
            assert!(
                text.contains("run ") || text.contains("set ") || text.contains("raise "),
                "{text}"
            );
        }
    }
}
