//! The shard core under the simulated driver: no sockets, no clock, no waiting.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

mod a_drain_flushes_what_is_queued;
mod a_full_queue_ends_on_the_newest_value;
mod closing_delivers_the_last_bytes;
mod echo_is_bounded;
mod fan_out_reaches_every_subscriber_once;
mod heartbeats_find_who_is_gone;
mod inbound_is_bounded;
mod interest_is_told_as_a_difference;
mod quotes_are_served_over_http;
mod snapshots_come_before_live_values;
mod the_account_has_no_hole;
mod the_wall_clock_may_jump;
mod throttles_leave_the_newest_value;
mod world;
