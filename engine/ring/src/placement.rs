//! Which CPUs this process may use, and pinning a thread to one of them.

use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs that the calling thread may run on, in ascending order (sched_getaffinity(2)).
///
/// At process start this is the mask inherited from `taskset`, a container or systemd.
///
/// # Errors
/// The kernel has more CPUs than the set can hold; the caller runs unpinned.
pub fn allowed_cpus() -> Result<Vec<usize>, Errno> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .collect())
}

/// Keeps the calling thread, and those it starts later, on `cpus`.
///
/// # Errors
/// `EINVAL` when none of them exists or is permitted.
pub fn run_on(cpus: &[usize]) -> Result<(), Errno> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(Errno::INVAL);
        }
        set.set(cpu);
    }
    sched_setaffinity(None, &set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_where_it_was_put() {
        let last = *allowed_cpus().unwrap().last().unwrap();
        std::thread::spawn(move || {
            run_on(&[last]).unwrap();
            assert_eq!(allowed_cpus().unwrap(), [last]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_an_error() {
        std::thread::spawn(|| {
            assert!(run_on(&[CpuSet::MAX_CPU]).is_err());
            assert!(run_on(&[]).is_err());
        })
        .join()
        .unwrap();
    }
}
