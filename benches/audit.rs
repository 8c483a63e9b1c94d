//! Cost of `loadgen`'s books for one received value, behind understanding it.
//!
//! One iteration is one update that 1000 connections of 50 symbols receive, each with its own cell: 16 bytes per
//! pair and book, 0.8 MB in all, visited as a fan-out visits them. One element is one value. `delivery` asks whether
//! it was due, by the schedule, and whether it is new; `account` books the server's `seq`. With `message_read/known`
//! this is what bounds the rate of one receive thread, beside the kernel.
//!
//! Measured (README.md beside this): 5.4 and 2.4 ns a value.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loadgen::audit::Sighting;
use loadgen::message::Value;

#[path = "fixtures/books.rs"]
mod books;

use books::{Books, CONNECTIONS, SYMBOLS};

fn audit(c: &mut Criterion) {
    let mut group = c.benchmark_group("audit");
    group.throughput(Throughput::Elements(CONNECTIONS as u64));
    let mut books = Books::open();
    let cells: Vec<_> = (0..SYMBOLS).map(|symbol| books.cells_of(symbol)).collect();
    let cells_of = |value: &Value| &cells[value.symbol.as_usize()];

    let mut values = books.values();
    group.bench_function("delivery", |b| {
        b.iter(|| {
            let Some(value) = values.next() else {
                unreachable!("the schedule is of 600 million values");
            };
            for &pair in cells_of(&value) {
                let sighting = books
                    .audit
                    .handle_value(pair, black_box(value), &books.rules);
                assert_eq!(black_box(sighting), Sighting::Delivered);
            }
        });
    });

    let mut values = books.values();
    group.bench_function("account", |b| {
        b.iter(|| {
            let Some(value) = values.next() else {
                unreachable!("the schedule is of 600 million values");
            };
            for &pair in cells_of(&value) {
                books.account.handle_value(pair, black_box(value.sequence));
            }
            black_box(&books.account);
        });
    });
    group.finish();
}

criterion_group!(benches, audit);
criterion_main!(benches);
