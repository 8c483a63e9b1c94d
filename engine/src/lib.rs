#![forbid(unsafe_code)]
//! Tickwire's engine: takes each market-data update once and delivers it to every subscribed client.
//!
//! The way of an update:
//! 1. [`ingest`] receives it (Redis, HTTP or the simulated feed), checks it, gives it a `seq` and frames
//!    it once;
//! 2. [`mailbox`] carries a reference to it into every shard, never waiting;
//! 3. [`shard`] finds the groups that want it and yields one send per client, touching no socket;
//! 4. [`driver`] turns those into system calls, 256 sends at a time.
//!
//! What clients watch goes the other way: [`interest`] collects it from the shards and tells the backend.
//!
//! [`control`] answers operators, [`config`] says what they chose, [`limits`] what everything is bounded
//! by, and [`run`] puts it all together. The shard knows no driver and ingest knows no shard; both know the
//! mailbox between them.

pub mod clock;
pub mod config;
pub mod control;
pub mod driver;
pub mod ingest;
pub mod interest;
pub mod limits;
pub mod logging;
pub mod mailbox;
pub mod policy;
pub mod random;
pub mod run;
pub mod shard;
