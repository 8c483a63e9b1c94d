//! Cost of finding the few values that routing needs in JSON that is known to be valid.
//!
//! One element is one object of about 200 bytes: its end is found, its keys are read, its name is checked. They are
//! elements of a batch, since there the validation of the whole is over before the first one is
//! looked at; the clock runs from then on. A single object is scanned the same way, but is not rebuilt, so this can't
//! be subtracted from `frame_build/canonical`. Paid once per update.
//!
//! Measured (README.md beside this): 0.43 µs an object.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickwire_engine::clock::Clock;
use tickwire_protocol::publication::PublicationDecoder;

#[path = "fixtures/published.rs"]
mod published;

use published::CANONICAL;

/// About 50 KiB.
const ELEMENTS: usize = 257;

fn span_scan(c: &mut Criterion) {
    let mut group = c.benchmark_group("span_scan");
    // The first one only starts the clock.
    group.throughput(Throughput::Elements(ELEMENTS as u64 - 1));
    let elements = vec![CANONICAL; ELEMENTS].join(",");
    let batch = format!(r#"{{"type":"batch_update","updates":[{elements}]}}"#);
    let mut decoder = PublicationDecoder::new();
    let clock = Clock::start();
    group.bench_function("element", |b| {
        b.iter_custom(|iterations| {
            let round = |_| {
                let (mut begun, mut last) = (Duration::ZERO, 0);
                let decoded =
                    decoder.decode(black_box(batch.as_bytes()), None, &mut |index, element| {
                        assert!(black_box(element).is_ok());
                        if index == 0 {
                            begun = clock.elapsed();
                        }
                        last = index;
                    });
                let ended = clock.elapsed();
                assert!(decoded.is_ok() && last + 1 == ELEMENTS);
                ended - begun
            };
            (0..iterations).map(round).sum()
        });
    });
    group.finish();
}

criterion_group!(benches, span_scan);
criterion_main!(benches);
