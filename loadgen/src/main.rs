//! `loadgen`: arguments, run, report, exit code; nothing else.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use loadgen::cli::{Invocation, Unusable, parse};
use loadgen::plan::Plan;
use loadgen::ramp::{Level, climb};
use loadgen::report::{Report, table};
use loadgen::run::{RunError, run};
use loadgen::{compare, hgrm, html, result, scenario};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Exit code for wrong use; clap ends with the same.
const WRONG_USE: u8 = 2;

/// Exit code for a run that can't tell.
const NO_VERDICT: u8 = 3;

fn main() -> ExitCode {
    let done = parse(std::env::args_os())
        .map_err(RunError::from)
        .and_then(invoke);
    match done {
        Ok(exit_code) => ExitCode::from(exit_code),
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::from(match error {
                RunError::Unusable(_) => WRONG_USE,
                RunError::Failed(_) => NO_VERDICT,
            })
        }
    }
}

fn invoke(invocation: Invocation) -> Result<u8, RunError> {
    match invocation {
        Invocation::Run(plan) => measure(&plan),
        Invocation::List => print(&scenario::list()).map(|()| 0),
        Invocation::Compare { a, b } => match compare::run(&a, &b) {
            Ok(text) => print(&text).map(|()| 0),
            Err(error) => {
                eprintln!("loadgen: {error}");
                Ok(WRONG_USE)
            }
        },
    }
}

fn measure(plan: &Plan) -> Result<u8, RunError> {
    let outputs = Outputs::create(plan)?;
    let flags: Vec<String> = std::env::args().skip(1).collect();
    if std::io::stderr().is_terminal() {
        eprintln!(
            "loadgen run {}: {}",
            plan.scenario.name(),
            plan.scenario.flags()
        );
    }
    let report = match plan.ramp {
        Some(ramp) => climb(plan, ramp, &flags, show_level)?,
        None => Report::new(plan, &run(plan.clone())?, &flags),
    };
    print(&table::render(&report))?;
    outputs.write(&report)?;
    Ok(report.verdict.exit_code)
}

fn show_level(level: &Level) {
    let why = level.reason.as_deref().unwrap_or_default();
    eprintln!("level {}: {} {why}", level.level, level.outcome);
}

fn print(text: &str) -> Result<(), RunError> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(cannot_write)
}

fn cannot_write(error: std::io::Error) -> RunError {
    RunError::Failed(format!("the report can't be written: {error}"))
}

/// The files to write, created before the run: a path that can't be written is found now, not after an
/// hour.
struct Outputs {
    json: Option<File>,
    hgrm: Option<File>,
    html: Option<File>,
}

impl Outputs {
    fn create(plan: &Plan) -> Result<Self, RunError> {
        let create = |flag: &str, path: &Option<std::path::PathBuf>| {
            path.as_deref().map(|path| create(flag, path)).transpose()
        };
        Ok(Self {
            json: create("--json", &plan.outputs.json)?,
            hgrm: create("--hgrm", &plan.outputs.hgrm)?,
            html: create("--html", &plan.outputs.html)?,
        })
    }

    fn write(self, report: &Report) -> Result<(), RunError> {
        if let Some(file) = self.json {
            let mut out = BufWriter::new(file);
            serde_json::to_writer_pretty(&mut out, report)
                .map_err(|error| cannot_write(error.into()))?;
            out.write_all(b"\n")
                .and_then(|()| out.flush())
                .map_err(cannot_write)?;
        }
        if let Some(file) = self.hgrm {
            let mut out = BufWriter::new(file);
            hgrm::write(report.latency_times.histogram(), &mut out)
                .and_then(|()| out.flush())
                .map_err(cannot_write)?;
        }
        if let Some(mut file) = self.html {
            // What the page shows is what the JSON says.
            let json = serde_json::to_vec(report).map_err(|error| cannot_write(error.into()))?;
            let result = result::parse(&json).map_err(|(what, _)| RunError::Failed(what))?;
            file.write_all(html::render(&result).as_bytes())
                .map_err(cannot_write)?;
        }
        Ok(())
    }
}

fn create(flag: &str, path: &Path) -> Result<File, Unusable> {
    File::create(path).map_err(|error| {
        let what = format!("{flag} {}: {error}", path.display());
        Unusable::new(what, "name a file in a directory that can be written to")
    })
}
