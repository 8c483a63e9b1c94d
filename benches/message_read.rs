//! Cost of `loadgen` understanding one received value of 200 bytes; one iteration is one message.
//!
//! `known` is what a load generator of a thousand clients does for 999 of them: the bytes are compared with what was
//! read before. `new` is the first client's: one scan by structure. Neither parses JSON. `irregular` (a key twice) is
//! left to serde_json, to show what a parse per message would cost.
//!
//! Measured (README.md beside this): 7 ns, 0.16 µs and 1.0 µs.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loadgen::message::Reader;
use loadgen::symbols::Symbols;

#[path = "fixtures/received.rs"]
mod received;

use received::message;

/// More than the reader keeps.
const MESSAGES: u64 = 5_000;

fn message_read(c: &mut Criterion) {
    let Ok(symbols) = Symbols::first(50) else {
        unreachable!("50 is a count of symbols");
    };
    let mut group = c.benchmark_group("message_read");
    group.throughput(Throughput::Elements(1));
    for (name, tail, messages) in [
        ("known", "", 1),
        ("new", "", MESSAGES),
        ("irregular", r#","symbol":"RELIANCE""#, MESSAGES),
    ] {
        let messages: Vec<_> = (0..messages)
            .map(|counter| message(counter, 1_763_670_000_123_456, tail))
            .collect();
        let mut reader = Reader::new(&symbols);
        let mut next = messages.iter().cycle();
        group.bench_function(name, |b| {
            b.iter(|| {
                let message = next.next().map_or(&[][..], Vec::as_slice);
                reader.read(black_box(message), |heard| {
                    black_box(heard);
                });
            });
        });
        assert_eq!(reader.parsed() > 0, name == "irregular", "{name}");
    }
    group.finish();
}

criterion_group!(benches, message_read);
criterion_main!(benches);
