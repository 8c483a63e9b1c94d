//! The configuration file.

use std::ffi::OsString;
use std::path::PathBuf;

use tickwire_engine::config::Config;

/// Any file gives a configuration that can be run, or an error that names what is wrong in it.
pub fn check(data: &[u8]) {
    let path = file();
    std::fs::write(&path, data).expect("the directory for temporary files can be written");
    let arguments = ["tickwire".into(), "--config".into(), OsString::from(&path)];
    match Config::from_sources(arguments, []) {
        Ok(config) => {
            assert!(config.limits.connections_max > 0 && config.limits.topics_max > 0);
            assert!(config.drain_timeout > config.drain_grace);
        }
        Err(error) => {
            assert!(!error.is_requested_output());
            assert!(error.to_string().len() > 10, "{error}");
        }
    }
    // What is left of a run that ends by a signal is one small file.
    let _ = std::fs::remove_file(&path);
}

/// In memory where there is such a directory: a file is written for every input.
fn file() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    directory.join(format!("tickwire-fuzz-{}.toml", std::process::id()))
}
