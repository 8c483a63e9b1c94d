//! Time stamps follow the wall clock; nothing else does. The same script runs under a steady clock and under one that
//! jumps an hour to and fro with each step, and clients must not be able to tell the two apart but by the stamps.

use tickwire_engine::clock::Now;
use tickwire_engine::shard::ConnectionId;
use tickwire_protocol::frame::{MaskedOpcode, append_masked};
use tickwire_protocol::timestamp::Timestamp;

use crate::world::{World, values};

const A: &str = "market:A";
const HOUR_US: i64 = 3_600_000_000;

/// What a client got in a step, stamps left out, and whether it is gone.
type Seen = (Vec<(String, u64)>, usize, bool);

struct Script {
    world: World,
    jumps: bool,
    is_ahead: bool,
}

impl Script {
    /// Lets time pass; before that the wall clock may jump.
    fn advance_ms(&mut self, milliseconds: u64) {
        if self.jumps {
            let jump_us = if self.is_ahead { -HOUR_US } else { HOUR_US };
            self.is_ahead = !self.is_ahead;
            let Now { monotonic_ns, wall } = self.world.driver.now();
            let wall = Timestamp::from_unix_micros(wall.unix_micros() + jump_us);
            self.world.driver.set_now(Now { monotonic_ns, wall });
        }
        self.world.driver.advance_ms(milliseconds);
    }

    fn look(&mut self, client: ConnectionId) -> Seen {
        let messages = self.world.messages(client);
        let is_closed = self.world.driver.client(client).is_closed();
        (values(&messages), messages.len(), is_closed)
    }

    /// A client that lives, one that asked for few values, one that takes none, and one that is silent.
    fn run(mut self) -> Vec<Seen> {
        let world = &mut self.world;
        let lives = world.subscriber(&["A"]);
        let throttled = world.client();
        world.command(
            throttled,
            r#"{"action":"subscribe","symbols":["A"],"throttle":250}"#,
        );
        let takes_none = world.subscriber(&["A"]);
        world.driver.client_mut(takes_none).room = 0;
        let silent = world.client();
        let clients = [lives, throttled, takes_none, silent];
        let mut pong = Vec::new();
        append_masked(&mut pong, MaskedOpcode::Pong, [7; 4], &[]);
        let mut seen = Vec::new();
        // Beyond the stall timeout of 30 s and two heartbeats of 30 s.
        for step in 0..1_000 {
            if step % 3 == 0 {
                self.world.publish(&[A]);
            }
            if step % 50 == 0 {
                for client in [lives, throttled] {
                    self.world.driver.client_sends(client, &pong);
                }
            }
            self.advance_ms(100);
            for client in clients {
                let now = self.look(client);
                seen.push(now);
            }
        }
        assert!(!seen[seen.len() - 4].2 && !seen[seen.len() - 3].2);
        assert!(seen[seen.len() - 2].2, "it stalled");
        assert!(seen[seen.len() - 1].2, "it gave no sign of life");
        seen
    }
}

#[test]
fn heartbeats_stalls_and_throttles_keep_their_time() {
    let [steady, jumping] = [false, true].map(|jumps| {
        let script = Script {
            world: World::new(),
            jumps,
            is_ahead: false,
        };
        script.run()
    });
    assert_eq!(steady, jumping);
}

#[test]
fn stamps_follow_the_wall_clock() {
    let mut world = World::new();
    let client = world.client();
    let stamp = |world: &mut World| {
        world.command(client, r#"{"action":"ping"}"#);
        let answer = &world.messages(client)[0];
        answer["serverTime"].to_string() + &answer["timestamp"].to_string()
    };
    let before = stamp(&mut world);
    let Now { monotonic_ns, wall } = world.driver.now();
    let wall = Timestamp::from_unix_micros(wall.unix_micros() - HOUR_US);
    world.driver.set_now(Now { monotonic_ns, wall });
    let after = stamp(&mut world);
    assert_ne!(before, after);
}
