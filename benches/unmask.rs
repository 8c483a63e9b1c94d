//! Cost of one frame of a client: header read, payload copied and unmasked, text checked for UTF-8.
//!
//! One iteration is one text frame with a payload of N bytes; N ÷ time is the throughput. 52 bytes are a ping of
//! the application, 589 a subscription to 50 symbols, 65 536 the largest message. Matters for a client that floods: this is
//! what its bytes cost before anything else looks at them.
//!
//! Measured (README.md beside this): 38 ns, 69 ns, 0.2 µs and 3.6 µs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tickwire_protocol::frame::{FrameDecoder, MaskedOpcode, PeerRole, append_masked};
use tickwire_protocol::limits::COMMAND_BYTES_MAX;

fn unmask(c: &mut Criterion) {
    let mut group = c.benchmark_group("unmask");
    for payload_bytes in [52, 589, 4_096, COMMAND_BYTES_MAX] {
        let mut wire = Vec::new();
        let payload = vec![b'x'; payload_bytes];
        append_masked(&mut wire, MaskedOpcode::Text, [1, 2, 3, 4], &payload);
        let mut decoder = FrameDecoder::new(PeerRole::Client, COMMAND_BYTES_MAX);
        let mut message = Vec::new();
        group.throughput(Throughput::Bytes(payload_bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(payload_bytes), |b| {
            b.iter(|| {
                message.clear();
                let mut input = black_box(wire.as_slice());
                assert!(
                    decoder
                        .decode(&mut input, &mut message)
                        .is_ok_and(|incoming| incoming.is_some())
                );
                black_box(&message);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, unmask);
criterion_main!(benches);
