//! Many clients that come, change their minds and go, on two nodes: what remains in Redis is what they watch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use tickwire_engine::random::Random;

use crate::backend::Backend;
use crate::harness::Client;

const SEED: u64 = 11;
const STEPS: usize = 400;
const CLIENTS_MAX: usize = 8;
const SYMBOLS: usize = 30;

pub(crate) fn over_two_nodes() {
    let backend = Backend::start();
    let nodes = [backend.node(&[]), backend.node(&[])];
    let mut random = Random::new(SEED);
    let mut clients: Vec<(Client, BTreeSet<String>)> = Vec::new();
    for _ in 0..STEPS {
        let symbol = format!("S{}", random.below(SYMBOLS));
        match random.below(10) {
            0 if clients.len() < CLIENTS_MAX => {
                clients.push((nodes[random.below(2)].client(), BTreeSet::new()));
            }
            1 if !clients.is_empty() => {
                clients.swap_remove(random.below(clients.len()));
            }
            2..6 if !clients.is_empty() => {
                let index = random.below(clients.len());
                let (client, watched) = &mut clients[index];
                client.subscribe(&[&symbol]);
                watched.insert(symbol);
            }
            _ if !clients.is_empty() => {
                let index = random.below(clients.len());
                let (client, watched) = &mut clients[index];
                // One of its own mostly, so that symbols lose their last subscriber.
                let symbol = watched.pop_first().unwrap_or(symbol);
                let request = json!({"action": "unsubscribe", "symbols": [symbol]});
                assert_eq!(client.ask(&request.to_string())["type"], "unsubscribed");
            }
            _ => {}
        }
        // Long enough together for lingers to end in between.
        std::thread::sleep(Duration::from_millis(40));
    }
    let watched: BTreeSet<&str> = clients
        .iter()
        .flat_map(|(_, watched)| watched.iter().map(String::as_str))
        .collect();
    println!(
        "seed {SEED}: {} symbols are watched at the end",
        watched.len()
    );
    backend.until_active(&watched.iter().copied().collect::<Vec<_>>());

    let mut is_active = BTreeMap::new();
    for notice in backend.notices() {
        let subscribes = notice.action == "subscribe";
        let before = is_active.insert(notice.symbol.clone(), subscribes);
        assert_eq!(
            before.unwrap_or(false),
            !subscribes,
            "seed {SEED}: each notice changes something: {notice:?}"
        );
    }
    let told: BTreeSet<&str> = is_active
        .iter()
        .filter(|(_, active)| **active)
        .map(|(symbol, _)| symbol.as_str())
        .collect();
    assert_eq!(told, watched, "seed {SEED}");
}
