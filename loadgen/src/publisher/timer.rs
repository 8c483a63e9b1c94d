//! Sleeping until a point of `CLOCK_REALTIME`.
//!
//! tokio's timer counts whole milliseconds and rounds up; at 2500 publications a second that alone
//! would be the lateness. A timerfd(2) is a high-resolution timer and takes absolute times, so that
//! nothing is computed between reading the clock and sleeping. It is read through the runtime's ring.

use std::io;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio_uring::fs::File;

use crate::clock::UnixMicros;

/// One timer; for tasks of a tokio-uring runtime.
pub(super) struct Timer {
    /// What the kernel arms.
    setting: std::fs::File,
    /// The same timer, for reading.
    expirations: File,
}

impl Timer {
    /// Fails when descriptors are short.
    pub(super) fn new() -> io::Result<Self> {
        // Blocking: of a non-blocking one io_uring reports EAGAIN instead of waiting for it.
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC)?;
        let setting = std::fs::File::from(timer);
        let expirations = File::from_std(setting.try_clone()?);
        Ok(Self {
            setting,
            expirations,
        })
    }

    /// Sleeps until `time`; returns at once when that is past.
    pub(super) async fn sleep_until(&self, time: UnixMicros) -> io::Result<()> {
        const MICROS: u64 = 1_000_000;
        // All zeros would disarm the timer (timerfd_settime(2)); the epoch is past anyway.
        let micros = time.get().max(1);
        let it_value = Timespec {
            tv_sec: i64::try_from(micros / MICROS).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(micros % MICROS).expect("below a million") * 1_000,
        };
        let once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let setting = Itimerspec {
            it_interval: once,
            it_value,
        };
        timerfd_settime(&self.setting, TimerfdTimerFlags::ABSTIME, &setting)?;
        // The number of expirations, 8 bytes; a timer has no position to read at.
        let (read, _) = self.expirations.read_at(vec![0; 8], 0).await;
        read.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn it_sleeps_as_long_as_told_and_not_for_the_past() {
        tokio_uring::start(async {
            let timer = Timer::new().unwrap();
            let begun = clock::now();
            timer.sleep_until(begun).await.unwrap();
            let wake = clock::now().plus(Duration::from_millis(3));
            timer.sleep_until(wake).await.unwrap();
            assert!(clock::now() >= wake);
        });
    }
}
