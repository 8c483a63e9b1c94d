//! A real `redis-server` on a port of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use redis::Commands;

use super::until;

pub(crate) struct RedisServer {
    pub(crate) child: Child,
    pub(crate) port: u16,
    is_cluster_node: bool,
    _directory: tempfile::TempDir,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::start_one(false)
    }

    /// Alone, or to become a node of a cluster.
    pub(crate) fn start_one(is_cluster_node: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (child, port) = until("redis-server has a port", || {
            // Free when asked for, but another test may be given it before the server has it.
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            // A cluster node listens 10 000 above it too.
            if is_cluster_node && port > 55_000 {
                return None;
            }
            let child = Self::try_start(port, is_cluster_node, &directory)?;
            Some((child, port))
        });
        Self {
            child,
            port,
            is_cluster_node,
            _directory: directory,
        }
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub(crate) fn restart(&mut self) {
        let (port, directory) = (self.port, &self._directory);
        self.child = until("redis-server starts again", || {
            Self::try_start(port, self.is_cluster_node, directory)
        });
    }

    /// `None` when somebody else has the port.
    fn try_start(port: u16, is_cluster_node: bool, directory: &tempfile::TempDir) -> Option<Child> {
        let mut child = Self::spawn(port, is_cluster_node, directory);
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        until("redis-server answers or ends", || {
            if child.try_wait().unwrap().is_some() {
                return Some(None);
            }
            let mut connection = client.get_connection().ok()?;
            let info: redis::InfoDict = redis::cmd("INFO").query(&mut connection).ok()?;
            (info.get::<u32>("process_id") == Some(child.id())).then_some(Some(()))
        })
        .map(|()| child)
    }

    /// Freezes it, or lets it go on.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection; waits until the server takes one.
    pub(crate) fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).unwrap();
        until("redis-server answers", || client.get_connection().ok())
    }

    /// Publishes and returns how many subscribers there were.
    pub(crate) fn publish(&self, payload: &str) -> usize {
        self.connection()
            .publish("market-data:updates", payload)
            .unwrap()
    }

    /// Publishes once somebody is subscribed.
    pub(crate) fn publish_to_subscriber(&self, payload: &str) {
        let mut connection = self.connection();
        until("the engine has subscribed", || {
            let receivers: usize = connection.publish("market-data:updates", payload).unwrap();
            (receivers > 0).then_some(())
        });
    }

    fn spawn(port: u16, is_cluster_node: bool, directory: &tempfile::TempDir) -> Child {
        Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(["--cluster-require-full-coverage", "no"])
            .args(["--cluster-node-timeout", "2000", "--cluster-enabled"])
            .arg(if is_cluster_node { "yes" } else { "no" })
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (scripts/test does)")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
