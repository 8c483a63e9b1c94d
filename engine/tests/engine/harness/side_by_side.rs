//! Scenarios that spend their time waiting, all at once.

use crate::harness::now;

/// Its name, by which `SCENARIO` picks it, and what it does; a panic is its failure.
pub(crate) type Scenario = (&'static str, fn());

/// Runs those whose name contains `SCENARIO`, without it all.
pub(crate) fn run_side_by_side(scenarios: &[Scenario]) {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let started: Vec<_> = scenarios
        .iter()
        .filter(|(name, _)| name.contains(&only))
        .map(|&(name, scenario)| {
            let timed = move || {
                let began = now();
                scenario();
                began.elapsed()
            };
            let thread = std::thread::Builder::new().name(name.to_owned());
            (name, thread.spawn(timed).unwrap())
        })
        .collect();
    assert!(!started.is_empty(), "SCENARIO={only} names none");
    let mut failed = Vec::new();
    for (name, thread) in started {
        match thread.join() {
            Ok(took) => println!("{name}: {took:.1?}"),
            Err(_) => failed.push(name),
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}
