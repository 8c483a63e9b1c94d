//! The engine's binary as a child process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{Client, DEADLINE, until};

pub(crate) struct Engine {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) banner: String,
    log: Arc<Mutex<String>>,
}

impl Engine {
    /// Starts it with these further arguments and waits until it says that it is up.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(&mut Self::command(arguments))
    }

    /// The command that [`Engine::start`] runs.
    pub(crate) fn command(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
        // By environment, so that a test's own flags win.
        command
            .env("TICKWIRE_LISTEN", "127.0.0.1:0")
            .env("TICKWIRE_ADMIN_LISTEN", "127.0.0.1:0")
            .env("TICKWIRE_DRIVER", crate::DRIVER);
        // One shard: what several do is a test of its own.
        command
            .env("TICKWIRE_CORES", first_allowed_cpu())
            .args(arguments);
        command
    }

    pub(crate) fn start_with(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = collect(child.stderr.take().unwrap());
        Self::once_up(child, log)
    }

    /// As [`Engine::start_with`], with the log going elsewhere.
    pub(crate) fn start_without_log(command: &mut Command, log: Stdio) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        Self::once_up(child, Arc::default())
    }

    fn once_up(mut child: Child, log: Arc<Mutex<String>>) -> Self {
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let banner = read_banner(&mut stdout, &log);
        let public = address_after(&banner, "listening on ");
        let admin = address_after(&banner, "http://");
        Self {
            child,
            public,
            admin,
            banner,
            log,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A client with an open session.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.public, "/ws")
    }

    /// A client with an open session, and its id.
    pub(crate) fn client_with_id(&self) -> (Client, String) {
        Client::connect_with_id(self.public, "/ws")
    }

    /// A client subscribed to symbols; the answer has come.
    pub(crate) fn subscriber(&self, symbols: &[&str]) -> Client {
        let mut client = self.client();
        client.subscribe(symbols);
        client
    }

    /// The status and body of an admin request.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        http(self.admin, method, path, body)
    }

    /// The status and body of a GET on the public listener.
    pub(crate) fn public_get(&self, path: &str) -> (u16, String) {
        http(self.public, "GET", path, "")
    }

    /// Publishes over HTTP and checks that it was accepted.
    pub(crate) fn publish(&self, payload: &str) {
        let (status, body) = self.admin("POST", "/publish", payload);
        assert_eq!(status, 202, "{body}");
    }

    pub(crate) fn ready(&self) -> Value {
        serde_json::from_str(&self.admin("GET", "/ready", "").1).unwrap()
    }

    /// The value of a metric, by its name with labels as exposed.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.admin("GET", "/metrics", "");
        let line = text.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        let line = line.unwrap_or_else(|| panic!("no {name} in:\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the engine ends", || child.try_wait().unwrap())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the engine's log:\n{}", self.log());
        }
    }
}

fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn first_allowed_cpu() -> String {
    tickwire_ring::placement::allowed_cpus().unwrap()[0].to_string()
}

fn read_banner(stdout: &mut BufReader<ChildStdout>, log: &Arc<Mutex<String>>) -> String {
    let mut banner = String::new();
    while !banner.contains("curl ") {
        let read = stdout.read_line(&mut banner).unwrap();
        assert!(
            read > 0,
            "the engine did not start:\n{banner}\n{}",
            log.lock().unwrap()
        );
    }
    banner
}

fn address_after(banner: &str, marker: &str) -> SocketAddr {
    let rest = &banner[banner.find(marker).unwrap() + marker.len()..];
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))
        .unwrap();
    rest[..end].parse().unwrap()
}

fn collect(mut stderr: ChildStderr) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let shared = log.clone();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut chunk) {
            shared
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
    });
    log
}
