//! Seeds of short sends, refusals and missing kernel memory: every client ends on the newest values, in
//! order, and the account of values balances after every turn.

use tickwire_engine::driver::simulated::FaultRates;
use tickwire_engine::random::Random;

use crate::world::{World, subscribe, values};

const SYMBOLS: [&str; 4] = ["A", "B", "C", "D"];
const CHANNELS: [&str; 4] = ["market:A", "market:B", "market:C", "market:D"];

#[test]
fn a_hundred_seeds() {
    for seed in 0..100 {
        run(seed);
    }
}

fn run(seed: u64) {
    let faults = FaultRates {
        short: 200,
        would_block: 100,
        no_buffers: 50,
        failed: 0,
    };
    let mut world = World::with_faults(seed, faults);
    let mut random = Random::new(seed);
    world.driver.chunk_operations = 1 + random.below(8);
    let clients: Vec<_> = (0..12).map(|_| world.client()).collect();
    let mut logs = vec![Vec::new(); clients.len()];
    for _ in 0..150 {
        match random.below(4) {
            0 => {
                let client = clients[random.below(clients.len())];
                let from = random.below(SYMBOLS.len());
                world.command(client, &subscribe(&SYMBOLS[from..]));
            }
            1 => {
                let client = clients[random.below(clients.len())];
                let symbol = SYMBOLS[random.below(SYMBOLS.len())];
                world.command(
                    client,
                    &format!(r#"{{"action":"unsubscribe","symbols":["{symbol}"]}}"#),
                );
            }
            _ => {
                let count = 1 + random.below(5);
                let channels: Vec<_> = (0..count).map(|_| CHANNELS[random.below(4)]).collect();
                if random.below(2) == 0 {
                    world.mail(&channels);
                } else {
                    world.publish_during_turn(&channels);
                }
                world.driver.advance_ms(random.below(20) as u64);
            }
        }
        for (client, log) in clients.iter().zip(&mut logs) {
            log.extend(world.messages(*client));
        }
    }
    for client in &clients {
        world.command(*client, &subscribe(&SYMBOLS));
    }
    let newest = world.publish(&CHANNELS);
    world.until_idle();
    for (client, log) in clients.iter().zip(&mut logs) {
        log.extend(world.messages(*client));
        for (channel, newest) in CHANNELS.iter().zip(&newest) {
            let mut last = 0;
            for (name, sequence) in values(log) {
                if name == *channel {
                    // Equal: a snapshot asked for again.
                    assert!(
                        sequence >= last,
                        "seed {seed}: {channel} {sequence} after {last}"
                    );
                    last = sequence;
                }
            }
            assert_eq!(
                last, *newest,
                "seed {seed}: {channel} does not end on its newest value"
            );
        }
    }
    let ledger = *world.driver.shard().ledger();
    assert_eq!(
        ledger.queued + ledger.in_flight,
        0,
        "seed {seed}: {ledger:?}"
    );
}
