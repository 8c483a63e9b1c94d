//! Which master has which slots.

use std::collections::{BTreeSet, HashMap};

use redis::aio::ConnectionLike as _;
use redis::cluster_routing::Slot;
use redis::{ConnectionAddr, ErrorKind, RedisError, Value};

use crate::ingest::redis::RedisServers;
use crate::ingest::redis::commands::CommandConnection;

/// Slots of every cluster.
const SLOTS: usize = 16_384;

/// A node's host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// A reading of `CLUSTER SLOTS`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Topology {
    masters: BTreeSet<Address>,
    owners: HashMap<Slot, Address>,
}

impl Topology {
    /// Asks one node.
    ///
    /// # Errors
    /// It can't be reached, said no, or something that is no map; ask another.
    pub(super) async fn read(
        servers: &RedisServers,
        node: &ConnectionAddr,
    ) -> Result<Self, RedisError> {
        let mut connection = CommandConnection::open_one(servers, node.clone()).await?;
        let command = redis::cmd("CLUSTER").arg("SLOTS").take();
        let answer = connection.req_packed_command(&command).await?;
        let host = match node {
            ConnectionAddr::Tcp(host, _) => host,
            _ => "",
        };
        Self::parse(&answer.extract_error()?, host)
            .ok_or_else(|| RedisError::from((ErrorKind::UnexpectedReturnType, "no map of slots")))
    }

    /// `[[first, last, [host, port, …], replicas…], …]`; a node without a host is the one that was asked.
    fn parse(answer: &Value, asked_host: &str) -> Option<Self> {
        let Value::Array(ranges) = answer else {
            return None;
        };
        let mut topology = Self {
            masters: BTreeSet::new(),
            owners: HashMap::new(),
        };
        for range in ranges {
            let Value::Array(range) = range else {
                return None;
            };
            let [
                Value::Int(first),
                Value::Int(last),
                Value::Array(master),
                ..,
            ] = &range[..]
            else {
                return None;
            };
            let [host, Value::Int(port), ..] = &master[..] else {
                return None;
            };
            let host = match host {
                Value::BulkString(host) => std::str::from_utf8(host).ok()?,
                Value::SimpleString(host) => host,
                _ => "",
            };
            let is_named = !matches!(host, "" | "?");
            let address = Address {
                host: if is_named { host } else { asked_host }.to_owned(),
                port: u16::try_from(*port).ok()?,
            };
            for slot in u16::try_from(*first).ok()?..=u16::try_from(*last).ok()? {
                topology.owners.insert(Slot::new(slot)?, address.clone());
            }
            topology.masters.insert(address);
        }
        Some(topology)
    }

    /// Ascending.
    pub(super) fn masters(&self) -> impl Iterator<Item = &Address> {
        self.masters.iter()
    }

    pub(super) fn has_all_slots(&self) -> bool {
        self.owners.len() == SLOTS
    }

    /// Whether a key, or a shard channel, belongs to this node.
    pub(super) fn is_owner(&self, address: &Address, key: &str) -> bool {
        self.owners.get(&Slot::for_key(key)) == Some(address)
    }

    pub(super) fn has_same_slots(&self, other: &Self, address: &Address) -> bool {
        let is_part = |one: &Self, two: &Self| {
            let slots = one.owners.iter().filter(|(_, owner)| *owner == address);
            slots
                .map(|(slot, _)| slot)
                .all(|slot| two.owners.get(slot) == Some(address))
        };
        other.masters.contains(address) && is_part(self, other) && is_part(other, self)
    }
}

impl Address {
    pub(super) fn to_connection(&self) -> ConnectionAddr {
        ConnectionAddr::Tcp(self.host.clone(), self.port)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_connection().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![host, Value::Int(port), Value::Nil]);
        let replica = Value::Array(vec![Value::Nil, Value::Int(1), Value::Nil]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
    }

    fn name(host: &str) -> Value {
        Value::BulkString(host.into())
    }

    fn parse(ranges: Vec<Value>) -> Topology {
        Topology::parse(&Value::Array(ranges), "asked").unwrap()
    }

    #[test]
    fn each_slot_has_its_master_and_a_nameless_one_is_the_one_that_was_asked() {
        let topology = parse(vec![
            range(0, 8_191, name("a"), 1),
            range(8_192, 16_383, Value::Nil, 2),
        ]);
        assert!(topology.has_all_slots());
        let masters: Vec<String> = topology.masters().map(Address::to_string).collect();
        assert_eq!(masters, ["a:1", "asked:2"]);
        let [a, asked] = [("a", 1), ("asked", 2)].map(|(host, port)| Address {
            host: host.to_owned(),
            port,
        });
        // CLUSTER KEYSLOT says 12182 for foo and 5061 for bar.
        assert!(topology.is_owner(&asked, "foo") && !topology.is_owner(&a, "foo"));
        assert!(topology.is_owner(&a, "bar"));

        let moved = parse(vec![
            range(0, 8_191, name("a"), 1),
            range(8_192, 16_382, name(""), 2),
            range(16_383, 16_383, name("c"), 3),
        ]);
        assert!(topology.has_same_slots(&moved, &a) && moved.has_same_slots(&topology, &a));
        assert!(!topology.has_same_slots(&moved, &asked));
        assert!(!moved.has_same_slots(&topology, &asked));
        assert!(!parse(vec![range(0, 1, name("a"), 1)]).has_all_slots());
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for answer in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(0, 99_999, name("a"), 1)]),
            Value::Array(vec![range(0, 16_384, name("a"), 1)]),
            Value::Array(vec![range(0, 1, name("a"), 70_000)]),
        ] {
            assert_eq!(Topology::parse(&answer, "asked"), None, "{answer:?}");
        }
    }
}
