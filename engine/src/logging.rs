//! Logs go to standard error, so that standard output has the banner alone.
//!
//! A thread of its own writes them: whoever reads the log may stall, or be gone, and ingest and the shards must
//! not notice. Lines that find [`LOG_LINES_MAX`] waiting are lost, and counted.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Config, LogFormat};
use crate::limits::LOG_LINES_MAX;

static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Switches logging on; the first call counts. What was logged is written until the guard is dropped, which waits
/// at most about a second for a reader that stalls.
pub fn start(config: &Config) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES_MAX)
        .lossy(true)
        .thread_name("log")
        .finish(std::io::stderr());
    let _ = LOST.set(writer.error_counter());
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails when something else, such as a test, has switched logging on before.
    let _ = match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    guard
}

/// Lines that were lost because nobody read the log fast enough.
#[must_use]
pub fn lines_lost() -> u64 {
    LOST.get().map_or(0, |lost| {
        u64::try_from(lost.dropped_lines()).unwrap_or(u64::MAX)
    })
}
