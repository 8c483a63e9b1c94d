//! Runs one hot structure so many times, for a tool that counts instructions; see `scripts/count`.
//!
//! ```text
//! counts STRUCTURE ROUNDS      does it, and prints how many items that were
//! counts                       prints the structures
//! ```
//!
//! What is prepared does not depend on the number of rounds: the difference between two runs is the rounds alone. Nothing
//! here reads a clock or draws at random.

#![expect(clippy::print_stdout, reason = "its output is the result")]

mod structures;

#[path = "../fixtures/books.rs"]
mod books;
#[path = "../fixtures/commanded.rs"]
mod commanded;
#[path = "../fixtures/conversation.rs"]
mod conversation;
#[path = "../fixtures/crowd.rs"]
mod crowd;
#[path = "../fixtures/published.rs"]
mod published;
#[path = "../fixtures/received.rs"]
mod received;
#[path = "../fixtures/update.rs"]
mod update;

use std::process::ExitCode;

use structures::{ROUNDS_MAX, STRUCTURES};

/// As in both programs: what is allocated is counted too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(rounds)) = (arguments.next(), arguments.next()) else {
        for structure in STRUCTURES {
            println!("{}", structure.name);
        }
        return ExitCode::SUCCESS;
    };
    let structure = STRUCTURES.iter().find(|structure| structure.name == name);
    let (Some(structure), Ok(rounds @ 0..=ROUNDS_MAX)) = (structure, rounds.parse()) else {
        println!("usage: counts STRUCTURE ROUNDS, with at most {ROUNDS_MAX} rounds");
        return ExitCode::from(2);
    };
    println!("{}", (structure.run)(rounds));
    ExitCode::SUCCESS
}
