//! A finished run, read back from the JSON report that it left.
//!
//! The types hold what the HTML page ([`crate::html`]) and the comparison ([`crate::compare`]) show. They
//! are apart from the report's own ([`crate::report`]), which is written once and never changed
//! afterwards: a report is read with fewer demands than it is written with, so that one of another
//! build of loadgen can be read as long as its `schema` is ours. Unknown fields are passed over; fields
//! that a scenario does not fill are `None` or empty.

mod arrival;
mod course;
mod run;
mod scenario;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;

pub use self::arrival::*;
pub use self::course::*;
pub use self::run::*;
pub use self::scenario::*;

/// The layout of the report that this version reads and writes.
pub const SCHEMA: u64 = 1;

/// Why a file can't be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// What the user can do.
    pub remedy: &'static str,
}

impl fmt::Display for ResultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "{path}: {}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for ResultError {}

/// Reads a report from a file.
///
/// # Errors
/// The file can't be read, is no report of loadgen, or one of another layout.
pub fn read(path: &Path) -> Result<RunResult, ResultError> {
    let unusable = |(what, remedy): (String, &'static str)| ResultError {
        path: path.to_owned(),
        what,
        remedy,
    };
    let text = std::fs::read(path).map_err(|error| {
        let remedy = "name a report that `loadgen --json FILE` has written";
        unusable((error.to_string(), remedy))
    })?;
    let mut result = parse(&text).map_err(unusable)?;
    result.name = path.display().to_string();
    Ok(result)
}

/// What is wrong, and the remedy.
pub type Refusal = (String, &'static str);

/// Takes a report from its JSON.
///
/// # Errors
/// The text is no report of loadgen, or one of another layout.
pub fn parse(text: &[u8]) -> Result<RunResult, Refusal> {
    let not_json = |error: serde_json::Error| {
        let what = format!("this is not JSON, or only a part of it ({error})");
        (what, "a run that is killed writes no report; run it again")
    };
    let mut report: Json = serde_json::from_slice(text).map_err(not_json)?;
    disarm(&mut report);
    let is_report = report.pointer("/tool/name").and_then(Json::as_str) == Some("loadgen");
    if !is_report {
        let what = "this is JSON, but no report of loadgen".to_owned();
        return Err((what, "name a report that `loadgen --json FILE` has written"));
    }
    match report.get("schema").and_then(Json::as_u64) {
        None | Some(..SCHEMA) => {
            let what = "the report was made by an older loadgen".to_owned();
            return Err((what, "run it again"));
        }
        Some(SCHEMA) => {}
        Some(newer) => {
            let what = format!("the report has schema {newer}, this loadgen reads {SCHEMA}");
            return Err((what, "use the loadgen that made it, or a newer one"));
        }
    }
    let mut result = RunResult::deserialize(report).map_err(|error| {
        let what = format!("the report is damaged ({error})");
        (what, "run it again")
    })?;
    let measured_ms = result.window.measured_ms;
    if let Some(timeline) = &mut result.timeline {
        timeline.measured_ms = measured_ms;
    }
    Ok(result)
}

/// Replaces control characters: some of the texts are a peer's, and they are shown on terminals and pages.
fn disarm(json: &mut Json) {
    let harmless = |text: &str| text.replace(char::is_control, "\u{fffd}");
    match json {
        Json::String(text) if text.contains(char::is_control) => *text = harmless(text),
        Json::Array(items) => items.iter_mut().for_each(disarm),
        Json::Object(members) => {
            if members.keys().any(|key| key.contains(char::is_control)) {
                let armed = std::mem::take(members).into_iter();
                *members = armed.map(|(key, item)| (harmless(&key), item)).collect();
            }
            members.values_mut().for_each(disarm);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that is a report.
    const LEAST: &str = r#"{"schema":1,"tool":{"name":"loadgen","version":"1.2.3","flags":[]},
        "machine":{"kernel":"6.18","cpus":2},
        "plan":{"scenario":"steady","url":"ws://h/ws","symbols":["TCS"],"later":{"unknown":1}},
        "window":{"runBegunAt":"2026-11-21T10:00:00Z","measuredMs":0,"interrupted":false},
        "connections":{"asked":1,"established":0,"failed":1,"lost":0},
        "delivery":{"basis":"unaudited","missing":0,"expected":0,"delivered":0},
        "latency":{"samples":0},
        "throughput":{"valuesPerSecond":0.0,"bytesPerSecond":0.0},
        "ownUse":{},
        "verdict":{"judgements":[{"target":"latency p99","wanted":"<= 1s","measured":"nothing",
            "outcome":{"noVerdict":"no value came"}}],"spoilers":[],"exitCode":3}}"#;

    #[track_caller]
    fn refused(text: &str, what: &str, remedy: &str) {
        let (said, advised) = parse(text.as_bytes()).unwrap_err();
        assert!(said.contains(what), "{said}");
        assert!(advised.contains(remedy), "{advised}");
    }

    #[test]
    fn the_least_report_is_read_and_the_rest_is_empty() {
        let result = parse(LEAST.as_bytes()).unwrap();
        assert_eq!(result.plan.scenario, "steady");
        assert_eq!(result.latency_method, LatencyMethod::FromIntended);
        assert!(result.timeline.is_none() && result.server.is_none());
        let outcome = &result.verdict.judgements[0].outcome;
        assert_eq!(*outcome, Outcome::NoVerdict("no value came".to_owned()));
    }

    #[test]
    fn what_is_no_report_is_refused_with_a_remedy() {
        refused("{\"tool\":", "not JSON", "run it again");
        refused("", "not JSON", "run it again");
        refused("[1]", "no report of loadgen", "--json FILE");
        refused(r#"{"tool":{"name":"wrk"}}"#, "no report", "--json FILE");
    }

    #[test]
    fn other_schemas_are_refused_by_their_age() {
        let older = LEAST.replace(r#""schema":1,"#, "");
        refused(&older, "made by an older loadgen", "run it again");
        let newer = LEAST.replace(r#""schema":1"#, r#""schema":2"#);
        refused(&newer, "schema 2", "or a newer one");
    }

    #[test]
    fn a_damaged_report_says_what_is_missing() {
        let without = LEAST.replace("exitCode", "exit");
        refused(&without, "exitCode", "run it again");
    }

    #[test]
    fn the_last_interval_ends_with_the_window() {
        let timeline = Timeline {
            interval_ms: 250,
            samples: Vec::new(),
            measured_ms: 600,
        };
        let per_second = |at_ms| {
            timeline.values_per_second(&Sample {
                at_ms,
                values: 100,
                ..Sample::default()
            })
        };
        // The third one is 100 ms long; what would lie behind the window is taken as whole.
        assert_eq!([250, 500, 750].map(per_second), [400.0, 1_000.0, 400.0]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let path = Path::new("/nowhere/at-all.json");
        let error = read(path).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/at-all.json: "), "{error}");
        assert!(error.ends_with("has written"), "{error}");
    }
}
