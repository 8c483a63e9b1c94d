//! One behaviour per file. Each runs over each driver: whoever includes this says over which, as `crate::DRIVER`.
//!
//! Everything listens on ports that the system chose, so that tests run in parallel and any number of times; they wait
//! for conditions, and a deadline only ends a failure.

pub(crate) mod harness;
pub(crate) mod raw;

mod a_frozen_engine_goes_on;
mod a_rolling_restart_loses_nobody;
mod a_second_engine_is_refused;
mod a_stalled_log_reader_stalls_nothing;
mod bad_messages_get_the_documented_error;
mod crowds_reset_at_once;
mod descriptors_run_out;
mod draining_refuses_and_loses_nobody;
mod echo_sends_everything_back;
mod every_shard_serves_every_symbol;
mod framing_violations_close_with_their_code;
mod frozen_clients_disturb_nobody;
mod hostile_messages_are_answered;
mod hostile_requests_are_answered;
mod operators_give_orders;
mod operators_see_who_is_slow;
mod prices_arrive_byte_for_byte;
mod private_channels_are_opened_by_the_operator;
mod readiness_follows_the_sources;
mod redis_comes_and_goes;
mod signals_end_it_in_order;
mod simulated_feed_needs_nothing_else;
mod slow_clients_get_what_their_policy_says;
mod threads_stay_in_the_inherited_mask;
