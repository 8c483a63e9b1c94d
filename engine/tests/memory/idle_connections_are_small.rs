//! Bytes per idle connection, and that a wave of updates leaves nothing behind.

use allocation_counter::measure;
use tickwire_engine::limits::IDLE_CONNECTION_BYTES;

use crate::bare_driver::BareDriver;

const CONNECTIONS: u32 = 10_000;

/// What the ring holds for a connection beside the shard: its slot, and its part of the receive buffers.
const RING_BYTES: u64 = 64;

/// What a connection keeps after a burst through queues that all share.
const BURST_BYTES: u64 = 24;

#[derive(Debug)]
struct PerConnection {
    idle_bytes: u64,
    after_a_wave_bytes: u64,
}

fn bytes_per_connection(channels: usize, set_of: impl Fn(u32) -> Vec<usize>) -> PerConnection {
    let per_connection = |bytes: i64| u64::try_from(bytes.max(0)).unwrap() / u64::from(CONNECTIONS);
    let mut driver = None;
    // The table of connections is made at once.
    let made = measure(|| driver = Some(BareDriver::new(CONNECTIONS, channels)));
    let mut driver = driver.unwrap();
    // Topics, their last values, and buffers for a turn are nobody's.
    driver.mail();
    driver.subscriber(&(0..channels).collect::<Vec<_>>());
    driver.run();
    let opened = measure(|| {
        for client in 1..CONNECTIONS {
            driver.subscriber(&set_of(client));
        }
        // Handshake timers have gone, heartbeats have come.
        driver.wait(200, 100_000_000);
    });
    let wave = measure(|| {
        for _ in 0..3 {
            driver.mail();
            driver.run();
        }
        driver.wait(60, 100_000_000);
    });
    PerConnection {
        idle_bytes: per_connection(made.bytes_current + opened.bytes_current),
        after_a_wave_bytes: per_connection(wave.bytes_current),
    }
}

#[track_caller]
fn assert_small(bytes: &PerConnection) {
    let idle_bytes = bytes.idle_bytes + RING_BYTES;
    assert!(
        idle_bytes <= IDLE_CONNECTION_BYTES,
        "{idle_bytes} B a connection"
    );
    let left_bytes = bytes.after_a_wave_bytes;
    assert!(
        left_bytes <= BURST_BYTES,
        "a wave left {left_bytes} B a connection"
    );
}

#[test]
fn with_one_common_set() {
    assert_small(&bytes_per_connection(50, |_| (0..50).collect()));
}

#[test]
fn with_a_set_of_its_own_each() {
    assert_small(&bytes_per_connection(1_000, |client| {
        let mut random = fastrand::Rng::with_seed(u64::from(client));
        (0..10).map(|_| random.usize(..1_000)).collect()
    }));
}
