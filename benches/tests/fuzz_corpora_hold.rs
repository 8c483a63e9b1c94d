//! The stored inputs of the fuzz targets, and what each target checks of them; so it compiles and holds without a fuzzer.

#![expect(
    unreachable_pub,
    reason = "the modules are public in the crate that they are shared with"
)]

use std::path::PathBuf;

#[path = "../fuzz/src/commands.rs"]
mod commands;
#[path = "../fuzz/src/config.rs"]
mod config;
#[path = "../fuzz/src/frames.rs"]
mod frames;
#[path = "../fuzz/src/json.rs"]
mod json;
#[path = "../fuzz/src/publications.rs"]
mod publications;
#[path = "../fuzz/src/upgrade.rs"]
mod upgrade;

/// Every input, its beginnings, and with one byte of it changed.
fn replay(target: &str, check: fn(&[u8])) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&directory).expect("the corpus is there") {
        let path = entry.expect("a directory can be listed").path();
        let input = std::fs::read(&path).expect("an input can be read");
        // Shown where a check fails.
        eprintln!("{}", path.display());
        check(&input);
        for length in 0..input.len() {
            check(&input[..length]);
        }
        let mut changed = input.clone();
        for index in 0..input.len() {
            for byte in [b'"', b' ', b']', b'}', b'.', input[index] ^ 0x80] {
                changed[index] = byte;
                check(&changed);
            }
            changed[index] = input[index];
        }
        inputs += 1;
    }
    assert!(inputs >= 5, "{inputs} inputs in {}", directory.display());
}

#[test]
fn upgrade_holds() {
    replay("upgrade", upgrade::check);
}

#[test]
fn frames_holds() {
    replay("frames", frames::check);
}

#[test]
fn commands_holds() {
    replay("commands", commands::check);
}

#[test]
fn publications_holds() {
    replay("publications", publications::check);
}

#[test]
fn config_holds() {
    replay("config", config::check);
}
