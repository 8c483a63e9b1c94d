//! What the backend learns of what clients watch: real engines on a real Redis, frozen, killed, drained.
//!
//! Leases and lingers last seconds, so all scenarios run at once, each on servers of its own, however few CPUs
//! there are. One alone: `SCENARIO=part_of_its_name cargo test -p tickwire-engine --test interest`.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]
#![expect(clippy::print_stdout, reason = "what was measured")]

#[path = "../engine/harness/mod.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod harness;
#[path = "../engine/harness/side_by_side.rs"]
mod side_by_side;

mod a_cluster_serves_as_one;
mod backend;
mod cluster;
mod deaths_are_healed;
mod moving_clients_cause_no_notice;
mod per_symbol_channels_follow_the_clients;
mod random_clients_leave_the_right_set;
mod the_union_is_exact;

use side_by_side::{Scenario, run_side_by_side};

/// What they share knows no driver: either does.
const DRIVER: &str = "auto";

const SCENARIOS: &[Scenario] = &[
    (
        "first_and_last_subscriber_over_two_nodes",
        the_union_is_exact::first_and_last_subscriber_over_two_nodes,
    ),
    (
        "a_change_is_there_within_a_second",
        the_union_is_exact::a_change_is_there_within_a_second,
    ),
    (
        "keys_have_the_prefix",
        the_union_is_exact::keys_have_the_prefix,
    ),
    (
        "more_symbols_than_one_call_takes",
        the_union_is_exact::more_symbols_than_one_call_takes,
    ),
    (
        "a_client_that_reconnects",
        moving_clients_cause_no_notice::a_client_that_reconnects,
    ),
    (
        "a_drain_while_its_client_moves",
        moving_clients_cause_no_notice::a_drain_while_its_client_moves,
    ),
    (
        "a_drain_while_redis_is_frozen",
        moving_clients_cause_no_notice::a_drain_while_redis_is_frozen,
    ),
    (
        "the_last_node_that_ends_in_order",
        moving_clients_cause_no_notice::the_last_node_that_ends_in_order,
    ),
    ("one_node_is_killed", deaths_are_healed::one_node_is_killed),
    (
        "the_last_node_is_killed",
        deaths_are_healed::the_last_node_is_killed,
    ),
    ("a_node_is_frozen", deaths_are_healed::a_node_is_frozen),
    ("a_damaged_union", deaths_are_healed::a_damaged_union),
    (
        "redis_is_frozen_for_longer_than_the_leases",
        deaths_are_healed::redis_is_frozen_for_longer_than_the_leases,
    ),
    (
        "redis_loses_everything",
        deaths_are_healed::redis_loses_everything,
    ),
    (
        "only_watched_symbols_are_subscribed",
        per_symbol_channels_follow_the_clients::only_watched_symbols_are_subscribed,
    ),
    (
        "thousands_of_symbols_are_subscribed",
        per_symbol_channels_follow_the_clients::thousands_of_symbols_are_subscribed,
    ),
    (
        "a_refused_channel",
        per_symbol_channels_follow_the_clients::a_refused_channel,
    ),
    (
        "values_come_from_every_node_of_a_cluster",
        a_cluster_serves_as_one::values_come_from_every_node,
    ),
    (
        "interest_is_told_through_a_cluster",
        a_cluster_serves_as_one::interest_is_told_through_it,
    ),
    (
        "a_cluster_node_that_freezes",
        a_cluster_serves_as_one::a_node_that_freezes,
    ),
    (
        "the_configured_cluster_node_dies",
        a_cluster_serves_as_one::the_configured_node_dies,
    ),
    (
        "a_flood_on_a_cluster_arrives_whole",
        a_cluster_serves_as_one::a_flood_arrives_whole,
    ),
    ("slots_that_move", a_cluster_serves_as_one::slots_that_move),
    (
        "random_clients_leave_the_right_set",
        random_clients_leave_the_right_set::over_two_nodes,
    ),
];

#[test]
fn every_scenario_holds() {
    run_side_by_side(SCENARIOS);
}
