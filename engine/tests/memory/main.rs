//! What a shard holds and allocates, counted by the allocator: exact on any machine.
#![expect(clippy::unwrap_used, reason = "a panic is the failure")]

mod a_delivery_allocates_nothing;
mod an_update_allocates_twice;
mod bare_driver;
mod idle_connections_are_small;
