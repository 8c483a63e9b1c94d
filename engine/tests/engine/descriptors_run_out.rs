//! When the process may open no more files, new clients wait, established ones go on, and whoever waits is served once
//! others have left.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::JoinHandle;

use crate::harness::{Client, DEADLINE, Engine, until};

/// Files that the process has open.
fn open_files(engine: &Engine) -> usize {
    let directory = format!("/proc/{}/fd", engine.pid());
    std::fs::read_dir(directory).unwrap().count()
}

/// An engine with room for so many connections less than it believes: it reserves descriptors for what it opens
/// itself, and knows nothing of those that it inherits.
fn engine_with_room_for(connections: usize) -> Engine {
    const INHERITED: usize = 300;
    // A feed, since publications would need a descriptor.
    let feed = ["--simulate", "symbols=1,rate=200"];
    let own = open_files(&Engine::start(&feed));
    let limit = INHERITED + own + connections;
    let engine = Engine::command(&feed);
    let mut command = Command::new("bash");
    let inherit = format!(
        "for i in $(seq 20 {}); do eval \"exec $i</dev/null\"; done; ulimit -n {limit}; exec \"$@\"",
        INHERITED + 19
    );
    command.arg("-c").arg(inherit).arg("bash");
    command.arg(engine.get_program()).args(engine.get_args());
    for (name, value) in engine.get_envs() {
        command.env(name, value.unwrap());
    }
    Engine::start_with(&mut command)
}

/// The kernel takes the connection, whether the engine can or not; the client waits for its greeting.
fn wait_in_line(address: SocketAddr) -> JoinHandle<Client> {
    let stream = TcpStream::connect(address).unwrap();
    std::thread::spawn(move || {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{address}/ws"), stream).unwrap();
        let mut client = Client { socket };
        assert_eq!(client.json()["type"], "connected");
        client.subscribe(&["RELIANCE"]);
        client
    })
}

#[test]
fn clients_wait_for_a_descriptor_and_nobody_is_lost() {
    const ESTABLISHED: usize = 20;
    let engine = engine_with_room_for(ESTABLISHED + 10);
    let mut established: Vec<_> = (0..ESTABLISHED)
        .map(|_| engine.subscriber(&["RELIANCE"]))
        .collect();
    let waiting: Vec<_> = (0..20).map(|_| wait_in_line(engine.public)).collect();
    until("the engine says what is missing", || {
        let log = engine.log();
        log.contains("is the file limit reached?").then_some(())
    });
    for client in &mut established {
        let first = client.json()["data"]["n"].as_u64().unwrap();
        for next in 1..=50 {
            assert_eq!(client.json()["data"]["n"], first + next);
        }
    }
    assert!(
        !waiting.iter().all(JoinHandle::is_finished),
        "somebody waits"
    );
    drop(established);
    for client in waiting {
        client.join().unwrap().json();
    }
    until("the engine says that it goes on", || {
        engine.log().contains("accepting works again").then_some(())
    });
    assert_eq!(engine.admin("GET", "/health", "").0, 200);
}
