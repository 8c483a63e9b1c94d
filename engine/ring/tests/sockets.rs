//! The ring against real loopback sockets: accept, receive, send, short sends, starvation, closing.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use tickwire_ring::{ConnectionKey, Event, ReceiveEnd, Ring, RingConfig, SendOutcome, Wait};

const CONFIG: RingConfig = RingConfig {
    connections_max: 64,
    submission_entries: 8,
    receive_buffers: 16,
    receive_buffers_kept: 4,
    receive_buffer_bytes: 256,
};

/// Far beyond what loopback needs; only a bug lets it run out.
const PATIENCE_ROUNDS: u32 = 1_000;

/// Enters and reaps until `wanted` returns `Some`; panics when nothing comes.
fn until<T>(ring: &mut Ring, mut wanted: impl FnMut(&mut Ring, Event) -> Option<T>) -> T {
    let mut events = Vec::new();
    for _ in 0..PATIENCE_ROUNDS {
        ring.enter(Wait::AtMost(Duration::from_millis(10))).unwrap();
        ring.reap(&mut events);
        let mut found = None;
        for event in events.drain(..) {
            if found.is_none() {
                found = wanted(ring, event);
            }
        }
        if let Some(found) = found {
            return found;
        }
    }
    panic!("the event never came");
}

fn listen(ring: &mut Ring) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    ring.accept_on(listener.into());
    address
}

fn connect(ring: &mut Ring, address: SocketAddr) -> (TcpStream, ConnectionKey) {
    let client = TcpStream::connect(address).unwrap();
    let key = until(ring, |ring, event| match event {
        Event::Accepted(descriptor) => Some(ring.adopt(descriptor).unwrap()),
        _ => None,
    });
    (client, key)
}

fn close(ring: &mut Ring, key: ConnectionKey) {
    ring.close(key);
    until(ring, |_, event| {
        matches!(event, Event::Closed(closed) if closed == key).then_some(())
    });
}

#[test]
fn bytes_go_both_ways_and_eof_is_reported() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    let (mut client, key) = connect(&mut ring, address);
    ring.receive(key);
    client.write_all(b"ping").unwrap();
    until(&mut ring, |ring, event| match event {
        Event::Received(from, lease) => {
            assert_eq!(from, key);
            assert_eq!(ring.bytes(&lease), b"ping");
            ring.give_back(lease);
            Some(())
        }
        _ => None,
    });
    ring.send(key, Rc::new(b"..pong..".to_vec()), 2..6);
    until(&mut ring, |_, event| match event {
        Event::Sent(_, outcome) => {
            assert_eq!(outcome, SendOutcome::Sent(4));
            Some(())
        }
        _ => None,
    });
    ring.shutdown_write(key);
    ring.enter(Wait::No).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"pong");
    drop(client);
    until(&mut ring, |_, event| match event {
        Event::ReceiveEnded(_, end) => {
            assert_eq!(end, ReceiveEnd::Eof);
            Some(())
        }
        _ => None,
    });
    close(&mut ring, key);
}

#[test]
fn a_burst_beyond_the_buffers_arrives_whole_and_in_order() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    let (mut client, key) = connect(&mut ring, address);
    ring.receive(key);
    // Eight times what all buffers hold, so that the receive is starved while leases are held.
    let sent: Vec<u8> = (0..8 * 16 * 256u32)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
        .collect();
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || {
            client.write_all(&sent).unwrap();
            client
        }
    });
    let mut received = Vec::new();
    let mut held = Vec::new();
    while received.len() < sent.len() {
        let mut events = Vec::new();
        ring.enter(Wait::AtMost(Duration::from_millis(10))).unwrap();
        ring.reap(&mut events);
        let idle = events.is_empty();
        for event in events {
            if let Event::Received(_, lease) = event {
                received.extend_from_slice(ring.bytes(&lease));
                held.push(lease);
            }
        }
        // Leases go back only when nothing comes any more: the buffer ring runs empty again and again.
        if idle {
            held.drain(..).for_each(|lease| ring.give_back(lease));
        }
    }
    assert!(received == sent, "order or content changed");
    assert!(
        ring.counters().receives_starved > 0,
        "the test is to starve the receive"
    );
    drop(writer.join().unwrap());
    close(&mut ring, key);
}

#[test]
fn a_reader_that_stops_gets_short_sends_and_then_none_until_it_reads_again() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    let (mut client, key) = connect(&mut ring, address);
    let bytes = Rc::new(vec![7; 16 << 20]);
    let mut taken = 0;
    loop {
        ring.send(key, bytes.clone(), taken..bytes.len());
        let outcome = until(&mut ring, |_, event| match event {
            Event::Sent(_, outcome) => Some(outcome),
            _ => None,
        });
        match outcome {
            SendOutcome::Sent(sent) => taken += sent as usize,
            SendOutcome::WouldBlock => break,
            other => panic!("{other:?}"),
        }
        assert!(taken < bytes.len(), "no socket buffer takes it all");
    }
    ring.await_writable(key);
    let reader = std::thread::spawn(move || {
        client.read_exact(&mut vec![0; taken]).unwrap();
        client
    });
    until(&mut ring, |_, event| {
        matches!(event, Event::Writable(_)).then_some(())
    });
    drop(reader.join().unwrap());
    close(&mut ring, key);
}

#[test]
fn a_paused_receive_delivers_again_after_receive() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    let (mut client, key) = connect(&mut ring, address);
    ring.receive(key);
    ring.enter(Wait::No).unwrap();
    ring.pause_receiving(key);
    // Resumed while the cancellation is under way: must neither be lost nor armed twice.
    ring.receive(key);
    client.write_all(b"x").unwrap();
    until(&mut ring, |ring, event| match event {
        Event::Received(_, lease) => {
            ring.give_back(lease);
            Some(())
        }
        _ => None,
    });
    close(&mut ring, key);
}

#[test]
fn a_reset_reaches_the_peer_as_one() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    let (mut client, key) = connect(&mut ring, address);
    ring.receive(key);
    ring.reset(key);
    until(&mut ring, |_, event| {
        matches!(event, Event::Closed(_)).then_some(())
    });
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_full_table_gives_the_socket_back_and_a_freed_slot_serves_again_under_a_new_key() {
    let mut ring = Ring::new(&RingConfig {
        connections_max: 1,
        ..CONFIG
    })
    .unwrap();
    let address = listen(&mut ring);
    let (_first, key) = connect(&mut ring, address);
    let _second = TcpStream::connect(address).unwrap();
    let refused = until(&mut ring, |ring, event| match event {
        Event::Accepted(descriptor) => Some(ring.adopt(descriptor).unwrap_err()),
        _ => None,
    });
    close(&mut ring, key);
    let refused = ring.adopt(refused).unwrap_err();
    // Until the caller has had the chance to see `Closed`, the slot is not given to anybody else.
    ring.reap(&mut Vec::new());
    let again = ring.adopt(refused).unwrap();
    assert_eq!(again.slot, key.slot);
    assert_ne!(again.generation, key.generation);
    assert!(ring.descriptor(key).is_none());
    close(&mut ring, again);
}

#[test]
fn another_thread_wakes_a_waiting_ring_again_and_again() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    for _ in 0..3 {
        let waker = ring.waker();
        let thread = std::thread::spawn(move || waker.wake());
        until(&mut ring, |_, event| {
            matches!(event, Event::Woken).then_some(())
        });
        thread.join().unwrap();
    }
}

#[test]
fn a_stopped_listener_refuses_and_says_so() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    ring.enter(Wait::No).unwrap();
    ring.stop_accepting();
    until(&mut ring, |_, event| {
        matches!(event, Event::AcceptStopped).then_some(())
    });
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_ring_dropped_with_everything_armed_closes_its_sockets() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    let (mut client, key) = connect(&mut ring, address);
    ring.receive(key);
    ring.enter(Wait::No).unwrap();
    drop(ring);
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_thousand_sends_take_a_fraction_of_that_in_system_calls() {
    let mut ring = Ring::new(&RingConfig {
        submission_entries: 128,
        ..CONFIG
    })
    .unwrap();
    let address = listen(&mut ring);
    let connected: Vec<_> = (0..50).map(|_| connect(&mut ring, address)).collect();
    let bytes = Rc::new(vec![1; 100]);
    let before = ring.counters();
    let mut events = Vec::new();
    for _ in 0..20 {
        for (_, key) in &connected {
            ring.send(*key, bytes.clone(), 0..100);
        }
        ring.enter(Wait::No).unwrap();
        ring.reap(&mut events);
        // DONTWAIT: each send has ended within its submission.
        let sent = events
            .drain(..)
            .filter(|event| matches!(event, Event::Sent(..)))
            .count();
        assert_eq!(sent, connected.len());
    }
    let after = ring.counters();
    assert_eq!(after.sends - before.sends, 1_000);
    assert_eq!(after.enters - before.enters, 20);
    assert_eq!(
        Rc::strong_count(&bytes),
        1,
        "nothing holds the bytes any more"
    );
    drop(connected);
}

#[test]
fn closing_ends_all_that_is_armed_and_takes_no_operation_where_nothing_is() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    let (mut quiet_client, quiet) = connect(&mut ring, address);
    let operations = ring.counters().operations;
    ring.close(quiet);
    assert!(
        ring.has_completions(),
        "or a driver would sleep before it hears of the closing"
    );
    // Must not wait for anything else either.
    ring.enter(Wait::Forever).unwrap();
    let mut events = Vec::new();
    ring.reap(&mut events);
    assert!(matches!(events[..], [Event::Closed(key)] if key == quiet));
    assert_eq!(ring.counters().operations, operations);
    assert_eq!(quiet_client.read(&mut [0; 1]).unwrap(), 0);

    // A peer that reads nothing: the send finds no room, and then both directions wait.
    let (_reads_nothing, key) = connect(&mut ring, address);
    ring.receive(key);
    let bytes = Rc::new(vec![1; 64 * 1024]);
    loop {
        ring.send(key, bytes.clone(), 0..bytes.len());
        let outcome = until(&mut ring, |_, event| match event {
            Event::Sent(_, outcome) => Some(outcome),
            _ => None,
        });
        if outcome == SendOutcome::WouldBlock {
            break;
        }
    }
    ring.await_writable(key);
    ring.enter(Wait::No).unwrap();
    close(&mut ring, key);
    assert!(ring.descriptor(key).is_none());
}

#[test]
fn one_of_many_is_closed_with_one_cancellation_and_the_others_still_hear() {
    let mut ring = Ring::new(&CONFIG).unwrap();
    let address = listen(&mut ring);
    let mut connected: Vec<_> = (0..50).map(|_| connect(&mut ring, address)).collect();
    for (_, key) in &connected {
        ring.receive(*key);
    }
    ring.enter(Wait::No).unwrap();
    let operations = ring.counters().operations;
    let (_client, key) = connected.swap_remove(25);
    close(&mut ring, key);
    assert_eq!(ring.counters().operations - operations, 1);
    for (client, key) in &mut connected {
        client.write_all(b"x").unwrap();
        until(&mut ring, |ring, event| match event {
            Event::Received(from, lease) => {
                ring.give_back(lease);
                (from == *key).then_some(())
            }
            _ => None,
        });
    }
}
