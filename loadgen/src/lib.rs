//! The load generator: measures from outside what a server of the Tickwire wire delivers, and how late.
//!
//! ```text
//!  cli (+ scenario's flags) ──► plan ──► run (coordinator, a tokio thread; ramp: one run per level)
//!                                         │ opens the measuring window, ends the run
//!              ┌──────────────────────────┼───────────────────────────┐
//!              ▼                          ▼                           ▼
//!   publisher thread             receive threads (1..n)           progress
//!   schedule ─► payload ─►       receiver: dialer, session, outbox
//!   Redis, open loop             message ─► audit (did it come?)
//!              │                         ├► account (does the server's own count hold?)
//!              │                         └► recorder (how late?)
//!              └──► measurement ─► verdict ─► report (table, JSON, hgrm) ◄──┘
//!                                               JSON ─► result ─► html, compare
//! ```
//!
//! The method, in five rules:
//! * **Open loop**, but for `--window`, whose latency is labelled as uncorrected. The schedule is made first ([`schedule`]). A late publisher sends at once and
//!   records its lateness; it never moves a time. Latency starts at the *intended* time, so a stall
//!   anywhere shows in every message that it held up (no coordinated omission).
//! * **What should have come is counted at the publisher**, by a counter per symbol that travels in
//!   the value, never by the server's own `seq`: a server can't grade itself ([`audit`]). What it
//!   says of itself is held against it all the same, as a verdict of its own ([`account`]).
//! * **Time decides what is measured.** A value counts when its intended time lies in the measuring
//!   window, which opens after all clients are subscribed: snapshots are older by construction.
//! * **A result that the generator spoiled is refused** ([`verdict`]).
//! * **One host, one clock**: latency is a difference of two readings of `CLOCK_REALTIME`.
//!
//! Invariants: nothing on the receive path waits, locks or parses JSON of canonical messages; the
//! clock is read per turn of the ring, not per message; receive threads share nothing but a few
//! relaxed atomics that they write once per turn ([`control`]).
//!
//! Slow clients and those that come and go are classes of their own ([`class`]): the targets are about the
//! healthy ones, and the slow ones are asked whether they ended on the newest value ([`finality`]).
//!
//! Deliberately not here: anything of the engine, and TLS.

#![forbid(unsafe_code)]

pub mod account;
pub mod audit;
pub mod class;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod control;
pub mod finality;
pub mod hgrm;
pub mod html;
pub mod interest;
pub mod measurement;
pub mod message;
pub mod pairs;
pub mod payload;
pub mod plan;
pub mod progress;
pub mod publisher;
pub mod ramp;
pub mod receiver;
pub mod recorder;
pub mod report;
pub mod result;
pub mod run;
pub mod scan;
pub mod scenario;
pub mod schedule;
pub mod server_process;
pub mod symbols;
pub mod timeline;
pub mod units;
pub mod verdict;
pub mod verify;
pub mod window;
