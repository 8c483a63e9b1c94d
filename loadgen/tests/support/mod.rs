//! A small server of the wire, and the binary run against it.
//!
//! The server is written with tungstenite and shares no code with what is tested. It misbehaves where a
//! test tells it to, and keeps a log of what it fed, so that a test can say exactly how many faults lie
//! in the window that the report names.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code: what can't go on ends here, the runner shows output, and nothing is exported"
)]
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod redis_server;
pub mod relay;
pub mod server;

use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;
use server::{Fed, Server};
use tempfile::TempDir;

/// A finished run.
#[derive(Debug)]
pub struct Run {
    pub exit_code: i32,
    pub stdout: String,
    pub stderr: String,
    /// `Null` when no report was written.
    pub report: Json,
}

/// A run under way.
pub struct Running {
    child: Child,
    directory: TempDir,
}

/// Runs the binary with these flags and `--json`.
pub fn loadgen(flags: &[&str]) -> Run {
    start_loadgen(flags).wait()
}

/// Runs it against `server` for a second, with short phases and targets that a busy machine meets.
pub fn measure(server: &Server, flags: &[&str]) -> Run {
    let url = server.url();
    let common = [
        "--url",
        &url,
        "--duration",
        "1s",
        "--warm-up",
        "200ms",
        "--max-p99",
        "5s",
        "--grace",
        "400ms",
    ];
    loadgen(&[&common, flags].concat())
}

pub fn start_loadgen(flags: &[&str]) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(flags)
        .arg("--json")
        .arg(directory.path().join("report.json"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Running { child, directory }
}

impl Running {
    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Stops the process for so long.
    pub fn pause(&self, time: std::time::Duration) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        std::thread::sleep(time);
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    }

    pub fn wait(self) -> Run {
        let Output {
            status,
            stdout,
            stderr,
        } = self.child.wait_with_output().unwrap();
        let report = std::fs::read(self.directory.path().join("report.json")).ok();
        let run = Run {
            exit_code: status.code().unwrap(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
            report: report
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or(Json::Null),
        };
        // Shown by the test runner when the test fails.
        println!("exit code {}\n{}{}", run.exit_code, run.stdout, run.stderr);
        run
    }
}

impl Run {
    /// A number of the report, by JSON pointer.
    pub fn number(&self, pointer: &str) -> u64 {
        let value = self.report.pointer(pointer);
        value
            .and_then(Json::as_u64)
            .unwrap_or_else(|| panic!("{pointer}: {value:?}"))
    }

    /// The outcome of a target: `met`, `missed`, or `noVerdict`.
    pub fn outcome(&self, target: &str) -> String {
        let judgements = self.report["verdict"]["judgements"].as_array().unwrap();
        let judgement = judgements
            .iter()
            .find(|judgement| judgement["target"] == target)
            .unwrap();
        match &judgement["outcome"] {
            Json::String(outcome) => outcome.clone(),
            Json::Object(outcome) => outcome.keys().next().unwrap().clone(),
            other => panic!("{other}"),
        }
    }

    /// Whether a value lies in the measuring window.
    pub fn measures(&self, fed: &Fed) -> bool {
        (self.number("/window/startUs")..self.number("/window/endUs")).contains(&fed.sent_us)
    }

    /// How many values of the window the server fed for which `holds`.
    pub fn count(&self, server: &Server, holds: impl Fn(&Fed) -> bool) -> u64 {
        server
            .log()
            .iter()
            .filter(|fed| self.measures(fed) && holds(fed))
            .count() as u64
    }

    /// Checks a number of the report.
    pub fn expect(&self, pointer: &str, expected: u64) {
        assert_eq!(self.number(pointer), expected, "{pointer}");
    }
}
