//! Which reports a side consists of.

use std::path::{Path, PathBuf};

use crate::result::{ResultError, RunResult, read as read_report};

/// Reads a file, several with commas between them, or all reports of a directory in the order of their
/// names.
pub(super) fn read(side: &str) -> Result<Vec<RunResult>, ResultError> {
    // A name may have a comma in it.
    let names = if Path::new(side).exists() {
        vec![side]
    } else {
        side.split(',').collect()
    };
    let mut runs = Vec::new();
    for name in names {
        let path = Path::new(name);
        if path.is_dir() {
            for report in reports_in(path)? {
                runs.push(read_report(&report)?);
            }
        } else {
            runs.push(read_report(path)?);
        }
    }
    Ok(runs)
}

fn reports_in(directory: &Path) -> Result<Vec<PathBuf>, ResultError> {
    let unusable = |what: String| ResultError {
        path: directory.to_owned(),
        what,
        remedy: "name a directory with reports that `loadgen --json FILE` has written, or their files",
    };
    let entries = std::fs::read_dir(directory).map_err(|error| unusable(error.to_string()))?;
    let mut reports = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unusable(error.to_string()))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            reports.push(path);
        }
    }
    if reports.is_empty() {
        return Err(unusable("there is no .json file in it".to_owned()));
    }
    reports.sort();
    Ok(reports)
}
