//! Every key that loadgen writes stands in `REPORT.md`.

mod support;

use std::collections::BTreeSet;

use serde_json::Value as Json;
use support::relay::relay;
use support::server::{Behaviour, Server};
use support::{loadgen, measure};

/// Keys of objects whose keys are data.
const DATA: [&str; 5] = ["failures", "losses", "closeCodes", "errors", "notices"];

fn keys(json: &Json, found: &mut BTreeSet<String>) {
    match json {
        Json::Object(members) => {
            for (key, value) in members {
                found.insert(key.clone());
                if !DATA.contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_documented() {
    let pid = std::process::id().to_string();
    let mut found = BTreeSet::new();
    let server = Server::start(Behaviour::conflating());
    let slow = [
        "--connections",
        "4",
        "--symbols",
        "2",
        "--slow-share",
        "50%",
    ];
    keys(&measure(&server, &slow).report, &mut found);
    let few = [
        "--connections",
        "2",
        "--symbols",
        "2",
        "--duration",
        "300ms",
    ];
    let more = [
        "--verify",
        "bytes",
        "--churn-rate",
        "20",
        "--server-pid",
        &pid,
    ];
    let (_, run) = relay(Behaviour::default(), &[&few[..], &more].concat());
    keys(&run.report, &mut found);
    for scenario in ["ramp", "storm"] {
        let server = Server::start(Behaviour::default());
        let url = server.url();
        let flags = ["--ramp", "connections", "--ramp-to", "3"];
        let storm = ["--storm-after", "100ms"];
        let own = if scenario == "ramp" {
            &flags[..]
        } else {
            &storm
        };
        let start = ["run", scenario, "--url", &url];
        let run = loadgen(&[&start[..], &few, own].concat());
        assert!(run.report[scenario].is_object(), "{scenario}");
        keys(&run.report, &mut found);
    }
    let documented = include_str!("../REPORT.md");
    let missing: Vec<_> = found
        .iter()
        .filter(|key| !documented.contains(&format!("`{key}`")))
        .collect();
    assert!(missing.is_empty(), "not in REPORT.md: {missing:?}");
    assert!(
        found.len() > 100,
        "the walk found the report: {}",
        found.len()
    );
}
