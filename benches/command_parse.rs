//! Cost of understanding one message of a client, from unmasked text to a command.
//!
//! One iteration is one message. `subscribe_50` allocates its names; `ping` allocates nothing.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tickwire_protocol::command::CommandParser;
use tickwire_protocol::frame::{FrameDecoder, MaskedOpcode, PeerRole, append_masked};
use tickwire_protocol::limits::COMMAND_BYTES_MAX;

fn command_parse(c: &mut Criterion) {
    let symbols: Vec<String> = (0..50).map(|n| format!(r#""SYM{n:05}""#)).collect();
    let subscribe_50 = format!(
        r#"{{"action":"subscribe","symbols":[{}]}}"#,
        symbols.join(",")
    );
    let ping = r#"{"action":"ping","timestamp":"2026-01-10T10:30:00Z"}"#.to_owned();
    let mut parser = CommandParser::new();
    for (name, message) in [("subscribe_50", &subscribe_50), ("ping", &ping)] {
        c.bench_function(&format!("command_parse/{name}"), |b| {
            b.iter(|| assert!(parser.parse(black_box(message.as_bytes())).is_ok()));
        });
    }
    let mut wire = Vec::new();
    append_masked(
        &mut wire,
        MaskedOpcode::Text,
        [1, 2, 3, 4],
        subscribe_50.as_bytes(),
    );
    let mut decoder = FrameDecoder::new(PeerRole::Client, COMMAND_BYTES_MAX);
    let mut message = Vec::new();
    c.bench_function("command_parse/unmask_subscribe_50", |b| {
        b.iter(|| {
            message.clear();
            let mut input = black_box(wire.as_slice());
            assert!(
                decoder
                    .decode(&mut input, &mut message)
                    .is_ok_and(|incoming| incoming.is_some())
            );
        });
    });
}

criterion_group!(benches, command_parse);
criterion_main!(benches);
