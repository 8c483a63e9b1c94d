//! Cost of `,"seq":N}` in place of the closing brace: a frame of an object that is understood already.
//!
//! One iteration is one frame: header, copy of the object, and the number. `frame_build/header_and_copy` is the same
//! without the number; `frame_build/canonical` with understanding the object. Paid once per update, so it matters
//! only if it comes near the latter.
//!
//! Measured (README.md beside this): 9 ns with one digit, 15 ns with seven.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tickwire_protocol::publication::PublicationDecoder;
use tickwire_protocol::timestamp::Timestamp;

#[path = "fixtures/published.rs"]
mod published;

use published::CANONICAL;

fn splice(c: &mut Criterion) {
    let mut group = c.benchmark_group("splice");
    group.throughput(Throughput::Elements(1));
    let now = Timestamp::from_unix_micros(1_768_041_000_000_000);
    let mut publication = None;
    let decoded =
        PublicationDecoder::new().decode(CANONICAL.as_bytes(), None, &mut |_, element| {
            publication = element.ok();
        });
    let (Ok(()), Some(publication)) = (decoded, publication) else {
        unreachable!("the object is canonical");
    };
    assert!(publication.is_verbatim());
    let mut frame = Vec::new();
    for sequence in [7_u64, 1_234_567] {
        group.bench_function(BenchmarkId::from_parameter(sequence), |b| {
            b.iter(|| {
                frame.clear();
                publication.append_frame(black_box(sequence), now, &mut frame);
                black_box(&frame);
            });
        });
    }
    assert!(frame.ends_with(br#","seq":1234567}"#) || frame.is_empty());
    group.finish();
}

criterion_group!(benches, splice);
criterion_main!(benches);
