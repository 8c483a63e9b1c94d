//! `tickwire`: arguments to configuration, logs on, run. Nothing else happens here.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tickwire_engine::config::Config;
use tickwire_engine::logging;
use tracing::error;

// Per-thread heaps: ingest frees what it allocates without meeting the shards.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config = match Config::load() {
        Ok(config) => config,
        Err(error) => error.exit(),
    };
    let _log = logging::start(&config);
    match tickwire_engine::run::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}
