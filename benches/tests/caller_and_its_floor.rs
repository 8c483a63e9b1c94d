//! `caller` asks as often as it says and hears every answer, of the floor that only answers and of a server that upgrades
//! and then closes.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tungstenite::Message;

const FLOOR: &str = env!("CARGO_BIN_EXE_floor");
const CALLER: &str = env!("CARGO_BIN_EXE_caller");

struct Floor {
    child: Child,
    address: SocketAddr,
}

impl Floor {
    fn start() -> Self {
        let mut child = Command::new(FLOOR)
            .args([
                "--mode",
                "answer",
                "--listen",
                "127.0.0.1:0",
                "--answer-bytes",
                "10,300",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        Self {
            child,
            address: address.parse().unwrap(),
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn call(address: SocketAddr, flags: &[&str]) -> (Output, Option<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.json");
    let output = Command::new(CALLER)
        .args(["--address", &address.to_string(), "--json"])
        .arg(&report)
        .args(flags)
        .output()
        .unwrap();
    let report = std::fs::read(report).ok();
    (
        output,
        report.map(|bytes| serde_json::from_slice(&bytes).unwrap()),
    )
}

#[test]
fn every_command_is_counted_once_with_its_answer() {
    let floor = Floor::start();
    let flags = [
        "--until",
        "upgraded",
        "--greeting-frames",
        "0",
        "--connections",
        "20",
        "--commands",
        "30",
    ];
    let (output, report) = call(floor.address, &flags);
    assert!(output.status.success(), "{output:?}");
    let report = report.unwrap();
    assert_eq!(report["connect"]["count"], 20);
    assert_eq!(report["commands"]["count"], 600);
    assert!(report["commands"]["startUs"].as_u64() >= report["connect"]["endUs"].as_u64());
}

#[test]
fn the_floor_answers_in_turn_with_the_sizes_it_was_told() {
    let floor = Floor::start();
    let (mut client, _) = tungstenite::connect(format!("ws://{}/ws", floor.address)).unwrap();
    for size in [10, 300, 10] {
        client.send(Message::text("x".repeat(200))).unwrap();
        assert_eq!(client.read().unwrap().len(), size);
    }
}

#[test]
fn a_server_that_closes_fails_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            .unwrap();
    });
    let (output, report) = call(address, &["--connections", "1"]);
    server.join().unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("closed"),
        "{output:?}"
    );
    assert_eq!(report, None);
}
