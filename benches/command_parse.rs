//! Cost of understanding one message of a client, from unmasked text to a command.
//!
//! One iteration is one message. `subscribe_50` allocates the list of its names and the set in which they are looked for; `ping` allocates nothing. Clients speak
//! seldom, except when all of them come back at once: 10 000 subscriptions of 50 symbols are 10 000 times the former.
//!
//! Measured (README.md beside this): 1.2 to 1.5 µs and 50 ns.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickwire_protocol::command::parse_command;

#[path = "fixtures/commanded.rs"]
mod commanded;

use commanded::subscribe_50;

fn command_parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("command_parse");
    group.throughput(Throughput::Elements(1));
    let subscribe_50 = subscribe_50();
    let ping = r#"{"action":"ping","timestamp":"2026-01-10T10:30:00Z"}"#.to_owned();
    for (name, message) in [("subscribe_50", &subscribe_50), ("ping", &ping)] {
        group.bench_function(name, |b| {
            b.iter(|| assert!(black_box(parse_command(black_box(message.as_bytes()))).is_ok()));
        });
    }
    group.finish();
}

criterion_group!(benches, command_parse);
criterion_main!(benches);
