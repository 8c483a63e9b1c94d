//! Ingest, mailbox, shard and clients, simulated from seeds: a script is made from each, executed without
//! sockets on a virtual clock, and everything that clients and operators see is held against a naive model.
//!
//! `scripts/simulate` runs more seeds, or prints a single one.
#![expect(clippy::unwrap_used, reason = "a panic is the failure of a run")]

mod account;
mod actions;
mod checks;
mod coverage;
mod frames;
mod generate;
mod ingest;
mod run;
mod script;
mod view;
mod world;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use coverage::Coverage;
use tickwire_engine::shard::{Sabotage, Shard};

/// Of each thing, so many times in [`SEEDS`] runs.
const SEEN_LEAST: u64 = 100;
const SEEDS: u64 = 400;
const THREADS: usize = 2;
/// Attempts to make a script that fails short.
const SHRINK_RUNS: usize = 3_000;

#[test]
fn what_clients_see_is_what_the_contract_says() {
    if variable("SIMULATE_SEED").is_some() {
        return;
    }
    let count = variable("SIMULATE_SEEDS").unwrap_or(SEEDS);
    let from = variable("SIMULATE_FROM").unwrap_or(0);
    let coverage = simulate(from, count);
    if count > SEEDS {
        eprintln!("{}", coverage.table());
    }
    let rare = coverage.too_rare(SEEN_LEAST * count / SEEDS);
    assert!(
        rare.is_empty() || count < SEEDS,
        "{}\ntoo rare in {count} runs: {rare:?}",
        coverage.table()
    );
}

/// For `scripts/simulate --seed`.
#[test]
fn the_seed_that_was_asked_for() {
    if let Some(seed) = variable("SIMULATE_SEED") {
        let script = generate::script(seed);
        eprintln!("{script}");
        match run::run(&script, |_| {}) {
            Ok(coverage) => eprintln!("{}seed {seed} holds", coverage.table()),
            Err(_) => fail(seed),
        }
    }
}

/// Seeds within which a bug must show itself.
const SABOTAGED_SEEDS: u64 = 60;

#[test]
fn bytes_sent_twice_are_found() {
    finds(|shard| shard.sabotage(Sabotage::SendTakenBytesAgain));
}

#[test]
fn events_of_earlier_connections_are_found() {
    finds(|shard| shard.sabotage(Sabotage::AcceptStaleGenerations));
}

#[test]
fn a_lost_final_value_is_found() {
    finds(|shard| shard.sabotage(Sabotage::LoseFinalValue));
}

fn finds(sabotage: fn(&mut Shard)) {
    let failures = (0..SABOTAGED_SEEDS).find_map(|seed| {
        let script = generate::script(seed);
        run::run(&script, sabotage).err().map(|text| (seed, text))
    });
    let (seed, text) = failures.expect("the bug is found");
    assert!(
        run::run(&generate::script(seed), |_| {}).is_ok(),
        "not for the bug: {text}"
    );
}

/// Runs `count` seeds on all threads; the failure of the first one that fails is made short and ends the test.
fn simulate(from: u64, count: u64) -> Coverage {
    let (next, done, failed) = (
        AtomicU64::new(from),
        AtomicU64::new(0),
        AtomicU64::new(u64::MAX),
    );
    let stop = AtomicBool::new(false);
    let work = || {
        let mut coverage = Coverage::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count || stop.load(Ordering::Relaxed) {
                return coverage;
            }
            match run::run(&generate::script(seed), |_| {}) {
                Ok(of_run) => coverage.merge(&of_run),
                Err(_) => {
                    failed.fetch_min(seed, Ordering::Relaxed);
                    stop.store(true, Ordering::Relaxed);
                }
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done % 1_000 == 0 {
                eprintln!("{done} of {count} seeds");
            }
        }
    };
    let coverage = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let mut coverage = Coverage::default();
        for thread in threads {
            coverage.merge(&thread.join().unwrap());
        }
        coverage
    });
    match failed.into_inner() {
        u64::MAX => coverage,
        seed => fail(seed),
    }
}

fn fail(seed: u64) -> ! {
    let (script, text) = run::shrink(&generate::script(seed), |_| {}, SHRINK_RUNS);
    panic!("seed {seed}: {text}\n\n{script}\nrerun: scripts/simulate --seed {seed}");
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
    )
}
