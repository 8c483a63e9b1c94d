//! From updates to sends: pending frames per group, one batch per group and turn, one send per client.

mod batch;
mod coalesce;
mod dispatch;
mod throttle;

pub(super) use batch::{BatchId, Batches};
pub(super) use coalesce::Coalescer;
pub(super) use dispatch::Dispatch;
pub(super) use throttle::{Marks, Passage, ThrottleTimers, Throttled};
