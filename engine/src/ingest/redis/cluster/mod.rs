//! The Redis source on a Redis Cluster.
//!
//! ```text
//!  updates, control ── SUBSCRIBE on any one node (the cluster carries them to all) ──┐
//!  market:TCS … ────── SSUBSCRIBE on the master of its slot: one connection each ────┴─► Publishing
//! ```
//! * Every connection is one of ours: read ahead is bounded by its socket, and a node that froze is noticed by
//!   its silence, exactly as on a single server. The client library's cluster connection can do neither: its queue
//!   of pushes has no end, it pings nobody, and after a reconnection it asks for all shard channels of a node
//!   in one `SSUBSCRIBE`, which Redis refuses where they have several slots. So it is used for commands only.
//! * The map of slots is read every few seconds, and at once after a connection was lost. A node whose slots have
//!   changed gets a new connection; what is published on its symbols in that moment is lost to this process.
//! * Redis ends the subscription of a slot that it gives away (`sunsubscribe`): that ends the connection too.
//! * The source is up while updates are subscribed, every slot has a master, and every master answers and has
//!   all its symbols subscribed. While one is away the others go on delivering.
//!
//! A node that is cut off from the rest of the cluster, but not from us, still answers. If it is the one that
//! updates are read from, they stop without a sign; publishers that reach the majority only are then not heard
//! until that node is back.

mod shard;
mod topology;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;
use tracing::{info, warn};

use super::publishing::Publishing;
use super::{Parts, RedisServers};
use crate::ingest::watched::WatchedSymbols;
use shard::Shard;
use topology::{Address, Topology};

/// From one reading of the slots to the next, if nothing is wrong.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// Between two readings in any case.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Which nodes there are, as far as is known.
#[derive(Debug)]
pub(super) struct ClusterMap {
    servers: Rc<RedisServers>,
    topology: RefCell<Option<Rc<Topology>>>,
    changed: Notify,
    doubted: Notify,
}

impl ClusterMap {
    pub(super) fn new(servers: Rc<RedisServers>) -> Self {
        Self {
            servers,
            topology: RefCell::default(),
            changed: Notify::new(),
            doubted: Notify::new(),
        }
    }

    /// A connection was lost: the map may be wrong.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// Reads the map again and again.
    pub(super) async fn keep_fresh(&self) -> Infallible {
        loop {
            self.refresh().await;
            sleep(REFRESH_INTERVAL_MIN).await;
            tokio::select! {
                () = sleep(REFRESH_INTERVAL) => {}
                () = self.doubted.notified() => {}
            }
        }
    }

    async fn refresh(&self) {
        for candidate in self.servers.candidates() {
            let Ok(topology) = Topology::read(&self.servers, &candidate).await else {
                continue;
            };
            let is_new = self
                .topology
                .borrow()
                .as_deref()
                .is_none_or(|known| *known != topology);
            if is_new {
                info!(
                    masters = topology.masters().count(),
                    "the cluster's slots are known"
                );
                let masters = topology.masters().map(Address::to_connection).collect();
                self.servers.set_masters(masters);
                *self.topology.borrow_mut() = Some(Rc::new(topology));
                self.changed.notify_one();
            }
            return;
        }
    }
}

/// Keeps one connection to each master that subscribes to the watched symbols of its slots.
pub(super) async fn follow_shards(
    map: Rc<ClusterMap>,
    watched: WatchedSymbols,
    publishing: Rc<Publishing>,
    parts: Rc<Parts>,
) -> Infallible {
    let coverage = Rc::new(Coverage {
        parts,
        has_all_slots: Cell::new(false),
        up: RefCell::default(),
    });
    let mut running: HashMap<Address, Running> = HashMap::new();
    loop {
        map.changed.notified().await;
        let Some(topology) = map.topology.borrow().clone() else {
            continue;
        };
        running.retain(|address, shard| {
            let stays = shard.topology.has_same_slots(&topology, address);
            if !stays {
                coverage.up.borrow_mut().remove(address);
            }
            stays
        });
        coverage.has_all_slots.set(topology.has_all_slots());
        if !topology.has_all_slots() {
            coverage.parts.fail();
            warn!("slots of the cluster have no master: what is published there does not arrive");
        }
        for address in topology.masters() {
            if running.contains_key(address) {
                continue;
            }
            coverage.up.borrow_mut().insert(address.clone(), false);
            let shard = Shard {
                config: map.servers.config().clone(),
                address: address.clone(),
                topology: topology.clone(),
                watched: watched.clone(),
                publishing: publishing.clone(),
                coverage: coverage.clone(),
                map: map.clone(),
            };
            let task = spawn_local(shard.run()).abort_handle();
            let topology = topology.clone();
            running.insert(address.clone(), Running { topology, task });
        }
        coverage.tell();
    }
}

/// A shard's task, which ends with this.
#[derive(Debug)]
struct Running {
    topology: Rc<Topology>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether the symbols of all slots are subscribed.
#[derive(Debug)]
struct Coverage {
    parts: Rc<Parts>,
    has_all_slots: Cell<bool>,
    up: RefCell<HashMap<Address, bool>>,
}

impl Coverage {
    fn set(&self, address: &Address, is_up: bool) {
        if let Some(up) = self.up.borrow_mut().get_mut(address) {
            *up = is_up;
        }
        if !is_up {
            self.parts.fail();
        }
        self.tell();
    }

    fn tell(&self) {
        let all_up = self.up.borrow().values().all(|&up| up);
        self.parts.set_symbols(self.has_all_slots.get() && all_up);
    }
}
