//! `loadgen`: arguments, run, report, exit code; nothing else.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use loadgen::cli::{Arguments, Unusable};
use loadgen::report::{Report, table};
use loadgen::run::{RunError, run};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Exit code for wrong use; clap ends with the same.
const WRONG_USE: u8 = 2;

/// Exit code for a run that can't tell.
const NO_VERDICT: u8 = 3;

fn main() -> ExitCode {
    match measure() {
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

fn measure() -> Result<u8, RunError> {
    let plan = Arguments::parse().into_plan()?;
    // Created before the run: a path that can't be written is found now, not after an hour.
    let json = match &plan.json {
        Some(path) => Some(File::create(path).map_err(|error| {
            let what = format!("--json {}: {error}", path.display());
            Unusable::new(what, "name a file in a directory that can be written to")
        })?),
        None => None,
    };
    let measurement = run(plan.clone())?;
    let flags: Vec<String> = std::env::args().skip(1).collect();
    let report = Report::new(&plan, &measurement, &flags);
    let failed = |error| RunError::Failed(format!("the report can't be written: {error}"));
    std::io::stdout()
        .write_all(table::render(&report).as_bytes())
        .map_err(failed)?;
    if let Some(file) = json {
        let mut out = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut out, &report).map_err(|error| failed(error.into()))?;
        out.write_all(b"\n")
            .and_then(|()| out.flush())
            .map_err(failed)?;
    }
    Ok(report.verdict.exit_code)
}
