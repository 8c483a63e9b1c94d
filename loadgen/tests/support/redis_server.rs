//! A Redis of the test's own, on a free port, in a directory that goes with it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Ends when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    _directory: TempDir,
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
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "redis-server can't be started ({error}); install it (apt install redis-server)"
                )
            });
        let mut server = Self {
            child,
            port,
            _directory: directory,
        };
        // A PING, not a mere connect: on a port that nobody listens on, a connection may meet itself.
        let client = redis::Client::open(server.url()).unwrap();
        let answers = || {
            let mut connection = client
                .get_connection_with_timeout(Duration::from_secs(1))
                .ok()?;
            redis::cmd("PING").exec(&mut connection).ok()
        };
        while answers().is_none() {
            if server.child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(server)
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
