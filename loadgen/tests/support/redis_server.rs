//! A Redis of the test's own, on a free port, in a directory that goes with it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Ends when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl RedisServer {
    pub fn start() -> Self {
        // Between finding a port free and taking it, a connection of another test may have it as its own:
        // then Redis ends, and another port is tried.
        std::iter::repeat_with(Self::try_start)
            .take(20)
            .flatten()
            .next()
            .expect("one of twenty ports stays free")
    }

    fn try_start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut server = Self {
            child: launch(port, directory.path()),
            port,
            directory,
        };
        server.answers_at_last().then_some(server)
    }

    /// Ends it between two commands, and starts it on the same port.
    pub fn restart(&mut self) {
        let mut connection = redis::Client::open(self.url())
            .unwrap()
            .get_connection()
            .unwrap();
        // It answers by closing the connection.
        let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").exec(&mut connection);
        self.child.wait().unwrap();
        let is_back = (0..20).any(|_| {
            self.child = launch(self.port, self.directory.path());
            self.answers_at_last()
        });
        assert!(is_back, "its port was taken meanwhile");
    }

    /// `false` when it has ended.
    fn answers_at_last(&mut self) -> bool {
        // A PING, not a mere connect: on a port that nobody listens on, a connection may meet itself.
        let client = redis::Client::open(self.url()).unwrap();
        let answers = || {
            let mut connection = client
                .get_connection_with_timeout(Duration::from_secs(1))
                .ok()?;
            redis::cmd("PING").exec(&mut connection).ok()
        };
        while answers().is_none() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(port: u16, directory: &Path) -> Child {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ])
        .arg("--dir")
        .arg(directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("redis-server can't be started ({error}); install it (apt install redis-server)")
        })
}
