//! A Redis Cluster of real servers.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{RedisServer, until};

/// Masters of a cluster that share its slots evenly, in their order.
pub(crate) fn start(masters: u16) -> Vec<RedisServer> {
    const SLOTS: u16 = 16_384;
    let nodes: Vec<_> = (0..masters).map(|_| RedisServer::start_one(true)).collect();
    for (number, node) in (0..).zip(&nodes) {
        let first = SLOTS / masters * number;
        let last = if number + 1 == masters {
            SLOTS - 1
        } else {
            first + SLOTS / masters - 1
        };
        let mut connection = node.connection();
        redis::cmd("CLUSTER")
            .arg("ADDSLOTSRANGE")
            .arg(&[first, last])
            .exec(&mut connection)
            .unwrap();
        redis::cmd("CLUSTER")
            .arg(&["MEET", "127.0.0.1", &nodes[0].port.to_string()])
            .exec(&mut connection)
            .unwrap();
    }
    for node in &nodes {
        let mut connection = node.connection();
        until("the cluster has all slots", || {
            let info: String = redis::cmd("CLUSTER")
                .arg("INFO")
                .query(&mut connection)
                .unwrap();
            let whole = format!("cluster_known_nodes:{masters}");
            (info.contains("cluster_state:ok") && info.contains(&whole)).then_some(())
        });
    }
    nodes
}

/// Stops a server without closing anything, or lets it go on.
pub(crate) fn freeze(server: &RedisServer, frozen: bool) {
    let signal = if frozen { Signal::STOP } else { Signal::CONT };
    kill_process(Pid::from_child(&server.child), signal).unwrap();
}
