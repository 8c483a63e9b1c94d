//! The command line: its form, the scenarios' flags put before the user's, and its one conversion into a
//! [`Plan`].

mod arguments;
mod check;
mod values;

use std::ffi::OsString;
use std::fmt;

use clap::{Parser, Subcommand, ValueEnum};

pub use self::arguments::Arguments;
use crate::plan::Plan;
use crate::scenario::Scenario;

const EXIT_CODES: &str = "\
Exit codes:
  0  every target is met
  1  a target is missed
  2  wrong use, or this machine can't run it; the message says the remedy
  3  no verdict: values carry no counter, nothing was measured, or loadgen itself was the bottleneck

A value counts when its data holds \"n\" (counter per symbol) and \"sentUs\" (intended time of its
publication, Unix microseconds, same host), and that time lies in the measuring window, which opens
--warm-up after all clients are subscribed. Latency is receipt minus intended time.
`loadgen list` shows the scenarios; the flags below are those of `loadgen run`, too.";

/// Load generator of Tickwire: subscribes clients over WebSocket, optionally publishes, and says
/// how much arrived and how late.
#[derive(Debug, Parser)]
#[command(
    name = "loadgen",
    version,
    after_help = EXIT_CODES,
    args_override_self = true,
    args_conflicts_with_subcommands = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    arguments: Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario; without a name, or without `run`, it is `steady`.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Run {
        /// Its name; `loadgen list` says what each does.
        #[arg(value_enum, default_value_t)]
        scenario: Scenario,
        #[command(flatten)]
        arguments: Box<Arguments>,
    },
    /// Lists the scenarios and the flags that they stand for.
    List,
    /// Compares runs by their JSON reports: B against A, each ratio with its spread.
    Compare {
        /// Reports of A: a file, several with commas between, or a directory of them.
        a: String,
        /// Reports of B.
        b: String,
    },
}

/// What the user wants.
#[derive(Debug)]
pub enum Invocation {
    /// A run.
    Run(Box<Plan>),
    /// The list of scenarios.
    List,
    /// A comparison of reports, each side a file, several with commas, or a directory.
    Compare {
        /// The one side.
        a: String,
        /// The other, which is held against it.
        b: String,
    },
}

/// What is wrong with the command line, or with this machine, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong.
    pub what: String,
    /// What the user can do.
    pub remedy: String,
}

impl Unusable {
    /// Both halves of the message.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Unusable {}

/// Reads the command line; help, version and errors of form end the program here.
///
/// # Errors
/// What is wrong beyond the form, with its remedy.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Invocation, Unusable> {
    interpret(words).unwrap_or_else(|error| error.exit())
}

/// Errors of form are the outer ones.
fn interpret(
    words: impl IntoIterator<Item = OsString>,
) -> Result<Result<Invocation, Unusable>, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    let first = words.get(1).and_then(|word| word.to_str());
    if let Some(name) = first.filter(|name| Scenario::from_str(name, false).is_ok()) {
        let remedy = format!("write `loadgen run {name}`");
        return Ok(Err(Unusable::new(format!("{name} is a scenario"), remedy)));
    }
    let (scenario, arguments) = match CommandLine::try_parse_from(&words)? {
        CommandLine {
            command: Some(Command::List),
            ..
        } => return Ok(Ok(Invocation::List)),
        CommandLine {
            command: Some(Command::Compare { a, b }),
            ..
        } => return Ok(Ok(Invocation::Compare { a, b })),
        CommandLine {
            command: Some(Command::Run { scenario, .. }),
            ..
        } => (scenario, *expand(scenario, &words)?),
        CommandLine {
            command: None,
            arguments,
        } => (Scenario::default(), arguments),
    };
    Ok(arguments
        .into_plan(scenario)
        .map(|plan| Invocation::Run(Box::new(plan))))
}

/// Puts the scenario's flags before those of the user, who thereby wins.
fn expand(scenario: Scenario, words: &[OsString]) -> Result<Box<Arguments>, clap::Error> {
    let run = words.iter().position(|word| word == "run");
    let (before, after) = words.split_at(run.map_or(words.len(), |at| at + 1));
    let flags = scenario.flags().split_whitespace().map(OsString::from);
    let expanded = before
        .iter()
        .cloned()
        .chain(flags)
        .chain(after.iter().cloned());
    match CommandLine::try_parse_from(expanded)?.command {
        Some(Command::Run { arguments, .. }) => Ok(arguments),
        _ => unreachable!("it was `run` before its flags grew"),
    }
}

#[cfg(test)]
pub(crate) use self::tests::plan;
#[cfg(test)]
mod tests;
