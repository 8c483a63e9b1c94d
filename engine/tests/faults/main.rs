//! Faults with real parts: the real binary, real Redis servers and sentinels, and a proxy between them that cuts,
//! holds, slows and garbles. For each: nothing wrong is delivered, everything is told, and it heals.
//!
//! Most of the time is spent waiting, so all scenarios run at once, each on servers of its own, however few CPUs
//! there are. Each prints how long the engine took, for the table in ARCHITECTURE.md; what is asserted is far above it.
//! One alone: `SCENARIO=part_of_its_name cargo test -p tickwire-engine --test faults -- --nocapture`.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]
#![expect(clippy::print_stdout, reason = "what was measured")]

#[path = "../engine/harness/mod.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod harness;
#[path = "../engine/harness/side_by_side.rs"]
mod side_by_side;

mod audit;
mod fault_proxy;
mod memory_is_bounded;
mod redis_cuts_us_off;
mod redis_stops;
mod the_engine_dies;
mod the_master_changes;
mod the_network_to_redis_fails;

use std::time::Duration;

use side_by_side::{Scenario, run_side_by_side};

/// What they share knows no driver: either does.
const DRIVER: &str = "auto";

const SCENARIOS: &[Scenario] = &[
    ("a_cut", the_network_to_redis_fails::a_cut),
    ("an_outage", the_network_to_redis_fails::an_outage),
    ("half_open", the_network_to_redis_fails::half_open),
    (
        "updates_arrive_but_pings_do_not",
        the_network_to_redis_fails::updates_arrive_but_pings_do_not,
    ),
    ("a_slow_line", the_network_to_redis_fails::a_slow_line),
    ("garbage", the_network_to_redis_fails::garbage),
    (
        "a_length_that_swallows_what_follows",
        the_network_to_redis_fails::a_length_that_swallows_what_follows,
    ),
    (
        "the_output_buffer_is_full",
        redis_cuts_us_off::the_output_buffer_is_full,
    ),
    ("absent_at_start", redis_stops::absent_at_start),
    ("killed_then_frozen", redis_stops::killed_then_frozen),
    ("the_master_dies", the_master_changes::the_master_dies),
    (
        "a_sentinel_that_is_behind_is_not_believed",
        the_master_changes::a_sentinel_that_is_behind_is_not_believed,
    ),
    (
        "the_sentinels_name_another_master",
        the_master_changes::the_sentinels_name_another_master,
    ),
    (
        "killed_and_restarted",
        the_engine_dies::killed_and_restarted,
    ),
    ("sigterm_under_load", the_engine_dies::sigterm_under_load),
    (
        "queued_frames_fill_it",
        memory_is_bounded::queued_frames_fill_it,
    ),
];

#[test]
fn every_scenario_holds() {
    run_side_by_side(SCENARIOS);
}

/// Prints a figure for the table.
fn measured(what: &str, took: Duration) {
    println!("measured: {what}: {:.0} ms", took.as_secs_f64() * 1e3);
}
