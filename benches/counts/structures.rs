//! What is counted. Each function does its rounds and returns how many items they had.

use std::hint::black_box;
use std::sync::Arc;

use loadgen::message::{Heard, Reader};
use loadgen::symbols::Symbols;
use tickwire_engine::mailbox::{MailboxConfig, WakeShard, mailbox};
use tickwire_protocol::command::parse_command;
use tickwire_protocol::publication::PublicationDecoder;
use tickwire_protocol::timestamp::Timestamp;

use crate::books::{Books, CONNECTIONS, SYMBOLS};
use crate::commanded::subscribe_50;
use crate::conversation::{conversation, names, subscription, upgrade};
use crate::crowd::crowd;
use crate::published::CANONICAL;
use crate::received::message;
use crate::update::update;

/// Rounds to prepare for.
pub(crate) const ROUNDS_MAX: usize = 64;

/// What can be counted.
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    /// Does so many rounds, and returns how many items they had.
    pub(crate) run: fn(rounds: usize) -> usize,
}

/// In the order of an update's way.
pub(crate) const STRUCTURES: [Structure; 7] = [
    Structure {
        name: "frame_build",
        run: frame_build,
    },
    Structure {
        name: "mailbox",
        run: mailbox_push_and_drain,
    },
    Structure {
        name: "fan_out",
        run: fan_out,
    },
    Structure {
        name: "command_parse",
        run: command_parse,
    },
    Structure {
        name: "command_answer",
        run: command_answer,
    },
    Structure {
        name: "connection",
        run: connection,
    },
    Structure {
        name: "message_read_and_audit",
        run: message_read_and_audit,
    },
];

/// An item is an update, from payload to frame.
fn frame_build(rounds: usize) -> usize {
    let now = Timestamp::from_unix_micros(1_768_041_000_000_000);
    let mut decoder = PublicationDecoder::new();
    let mut frame = Vec::new();
    let mut build = || {
        frame.clear();
        let decoded = decoder.decode(black_box(CANONICAL.as_bytes()), None, &mut |_, element| {
            if let Ok(publication) = element {
                publication.append_frame(118, now, &mut frame);
            }
        });
        assert!(decoded.is_ok() && !black_box(&frame).is_empty());
    };
    // The first one grows the scratch space.
    build();
    (0..rounds).for_each(|_| build());
    rounds
}

/// An item is an update, from ingest's hand into the shard's. 64 a round, the shard awake.
fn mailbox_push_and_drain(rounds: usize) -> usize {
    struct NobodySleeps;
    impl WakeShard for NobodySleeps {
        fn wake(&self) {}
    }
    let config = MailboxConfig {
        updates_max: 4_096,
        reliable_max: 1_024,
        topics_max: 64,
    };
    let (mut sender, mut receiver) = mailbox(config, Box::new(NobodySleeps), Box::new(|| {}));
    let channel: Arc<str> = "market:RELIANCE".into();
    let updates: Vec<_> = (0..64).map(|topic| update(topic, &channel, 2)).collect();
    let mut taken = Vec::with_capacity(updates.len());
    let mut carry = || {
        for update in &updates {
            sender.push(update.clone());
        }
        sender.flush();
        receiver.take(usize::MAX, &mut taken);
        assert_eq!(black_box(&taken).len(), updates.len());
        taken.clear();
    };
    carry();
    (0..rounds).for_each(|_| carry());
    rounds * updates.len()
}

/// An item is a delivery to one of 1000 clients of one group, the simulated driver's part included.
fn fan_out(rounds: usize) -> usize {
    let clients = 1_000;
    let (mut driver, _) = crowd(clients, |_| vec!["RELIANCE".to_owned()]);
    let channel: Arc<str> = "market:RELIANCE".into();
    let prepared: Vec<_> = (1..=ROUNDS_MAX as u64 + 1)
        .map(|sequence| update(0, &channel, sequence))
        .collect();
    let mut updates = Vec::with_capacity(1);
    for update in &prepared[..=rounds] {
        updates.push(update.clone());
        driver.publish(&mut updates);
        driver.run();
    }
    let sent = driver.shard().ledger().sent;
    assert_eq!(sent, (clients * (rounds + 1)) as u64, "all delivered");
    clients * rounds
}

/// An item is a subscription to 50 symbols, from text to command.
fn command_parse(rounds: usize) -> usize {
    let subscribe_50 = subscribe_50();
    let parse = || assert!(black_box(parse_command(black_box(subscribe_50.as_bytes()))).is_ok());
    parse();
    (0..rounds).for_each(|_| parse());
    rounds
}

/// An item is a message of a client, from its frame to the answer's, the simulated driver's part included: a
/// subscription to 10 symbols, its end, a ping, and again.
fn command_answer(rounds: usize) -> usize {
    // Another client keeps the symbols: with thousands of clients few of them come and go.
    let (mut driver, connections) = crowd(2, |_| names(10).collect());
    let messages = conversation(10);
    let mut converse = || {
        for message in &messages {
            driver.client_sends(connections[1], message);
            driver.run();
        }
    };
    converse();
    (0..rounds).for_each(|_| converse());
    let counters = driver.shard().metrics().counters;
    assert_eq!(
        counters.errors.iter().sum::<u64>(),
        0,
        "nothing was refused"
    );
    // And the two of the crowd.
    let received = (messages.len() * (rounds + 1)) as u64 + 2;
    assert_eq!(counters.messages.iter().sum::<u64>(), received);
    messages.len() * rounds
}

/// An item is a client, the simulated driver's part included: upgrade, subscription to 10 symbols, their values, and its
/// end.
fn connection(rounds: usize) -> usize {
    // Another client keeps the symbols.
    let (mut driver, _) = crowd(1, |_| names(10).collect());
    let mut values: Vec<_> = names(10)
        .zip(0..)
        .map(|(name, topic)| update(topic, &format!("market:{name}").into(), 1))
        .collect();
    driver.publish(&mut values);
    driver.run();
    let (upgrade, subscription) = (upgrade("127.0.0.1:8081"), subscription(10));
    let mut visit = || {
        let connection = driver.connect();
        driver.client_mut(connection).keeps_bytes = false;
        for message in [&upgrade, &subscription] {
            driver.client_sends(connection, message);
            driver.run();
        }
        driver.client_ends(connection, true);
        driver.run();
    };
    visit();
    (0..rounds).for_each(|_| visit());
    let counters = driver.shard().metrics().counters;
    assert_eq!(counters.snapshots, 10 * (rounds as u64 + 1));
    rounds
}

/// An item is a value that one of 1000 clients received: understood and booked. The first client's is scanned, the
/// others' are known by their bytes.
fn message_read_and_audit(rounds: usize) -> usize {
    let Ok(symbols) = Symbols::first(SYMBOLS.into()) else {
        unreachable!("so many symbols there are");
    };
    let mut books = Books::open();
    // The name in the message is that of one symbol.
    let Some((symbol, _)) = symbols.iter().find(|(_, name)| *name == "RELIANCE") else {
        unreachable!("the first symbols contain it");
    };
    let messages: Vec<_> = books
        .values()
        .filter(|value| value.symbol == symbol)
        .take(ROUNDS_MAX + 1)
        .filter_map(|value| Some(message(value.counter?, value.intended?.get(), "")))
        .collect();
    let cells = books.cells_of(symbol.0);
    let mut reader = Reader::new(&symbols);
    for message in &messages[..=rounds] {
        for &pair in &cells {
            reader.read(black_box(message), |heard| {
                let Heard::Value(value) = heard else {
                    unreachable!("a value is sent");
                };
                black_box(books.audit.handle_value(pair, value, &books.rules));
                books.account.handle_value(pair, value.sequence);
            });
        }
    }
    assert_eq!(reader.parsed(), 0, "no JSON is parsed");
    CONNECTIONS * rounds
}
