//! The HTML page of any report is well-formed, asks for nothing from outside, and lets nothing from outside
//! become markup. The pages are left in the target directory (`tmp/report-pages`), to be looked at.
#![expect(clippy::unwrap_used, reason = "test code: what can't go on ends here")]

#[path = "support/reports.rs"]
mod reports;

use std::path::{Path, PathBuf};

use loadgen::html::render;
use loadgen::result::read;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value as Json;

/// Where the page can be looked at.
fn page(name: &str, report: &Json) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-pages");
    std::fs::create_dir_all(&directory).unwrap();
    let path: PathBuf = directory.join(name);
    std::fs::write(path.with_extension("json"), report.to_string()).unwrap();
    let page = render(&read(&path.with_extension("json")).unwrap());
    std::fs::write(path.with_extension("html"), &page).unwrap();
    page
}

/// Parses the page and looks at all that could load something. Gives its text.
fn check(name: &str, report: &Json) -> String {
    let page = page(name, report);
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(&page, options)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let elements = || document.descendants().filter(Node::is_element);
    for element in elements() {
        let tag = element.tag_name().name();
        assert!(
            !["img", "iframe", "object", "embed", "base", "use", "image"].contains(&tag),
            "{name}: <{tag}>"
        );
        for attribute in element.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(!key.starts_with("on"), "{name}: {key}");
            if ["src", "href", "action", "srcset", "poster", "data"].contains(&key) {
                assert_eq!(value, "data:,", "{name}: {tag} {key}");
            }
        }
        if tag == "style" || tag == "script" {
            let text = element.text().unwrap();
            assert!(
                !text.contains("url(") && !text.contains("//") && !text.contains("import"),
                "{name}: <{tag}>"
            );
        }
    }
    let count = |tag| {
        elements()
            .filter(|element| element.tag_name().name() == tag)
            .count()
    };
    assert_eq!(
        (count("script"), count("style"), count("h1")),
        (1, 1, 1),
        "{name}"
    );
    for drawing in elements().filter(|element| element.attribute("role") == Some("img")) {
        assert!(
            drawing.attribute("aria-label").unwrap().len() > 20,
            "{name}: a chart says nothing"
        );
    }
    let text = document.descendants().filter(Node::is_text);
    text.filter_map(|text| text.text())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_steady_run_has_its_verdict_and_all_charts() {
    let report = reports::steady(1);
    let text = check("steady", &report);
    for part in [
        "Targets met",
        "Of 5 targets: 5 met.",
        "Latency by percentile",
        "Latency over time",
        "Values received over time",
        "CPU over time",
        "Server memory over time",
        "tickwire --cores 0 --redis-url redis://127.0.0.1:6379 (pid 4711)",
        "commit 3f750e4",
        "no coordinated omission",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    assert!(!text.contains("UNCORRECTED") && !text.contains("--server-pid PID"));
}

#[test]
fn scenarios_show_what_is_theirs() {
    let ramp = check("ramp", &reports::ramp());
    assert!(
        ramp.contains(
            "Held 2250 updates per second; at 2500 latency p99 was missed. Everything below"
        ),
        "{ramp}"
    );
    assert!(ramp.contains("latency p99: 611 ms, wanted <= 500ms"));
    let undecided = reports::ramp_without_verdict();
    let undecided = check("ramp-without-verdict", &undecided);
    assert!(
        undecided.contains("at 2500 there was no verdict on latency p99."),
        "{undecided}"
    );
    let idle = check("idle", &reports::idle());
    assert!(
        idle.contains("no values were to come") && !idle.contains("is not known"),
        "{idle}"
    );
    let storm = check("storm", &reports::storm());
    assert!(storm.contains("Clients that hold all newest values again"));
    assert!(
        storm.contains("Clients connected over time"),
        "their number changes"
    );
    let churn = check("churn", &reports::churn_with_failures());
    assert!(churn.contains("clients came and went beside"));
    assert!(
        churn.contains("The less frequent ones"),
        "twenty reasons are too many"
    );
    assert!(churn.contains("99.999\u{202f}%"), "almost all is not all");
    let slow = check("slow", &reports::slow());
    assert!(slow.contains("They read nothing until the window closed, and then all they could."));
    check("soak", &reports::soak());
}

#[test]
fn a_closed_loop_is_labelled_uncorrected_wherever_its_latency_stands() {
    let text = check("saturate", &reports::saturate(2));
    for part in [
        "UNCORRECTED: a closed loop",
        "Latency by percentile (uncorrected)",
        "Latency over time (uncorrected)",
        "latency, from the send (uncorrected)",
        "they are uncorrected",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    assert!(!text.contains("no coordinated omission"));
}

#[test]
fn what_is_missing_is_said() {
    let nothing = check("nothing", &reports::nothing_measured());
    assert!(nothing.contains("Targets missed"));
    assert!(nothing.contains("the window never opened"));
    assert!(nothing.contains("--server-pid PID"));
    assert!(nothing.contains("no value of the window arrived"));
    let open = check("no-verdict", &reports::no_verdict_and_interrupted());
    assert!(open.contains("No verdict") && open.contains("Spoiled by loadgen itself"));
    assert!(open.contains("The run was interrupted."));
    let one = check("one-sample", &reports::one_sample());
    assert!(
        one.contains("1 of 1 clients") || one.contains("1 client × 1 symbol"),
        "{one}"
    );
}

#[test]
fn what_comes_from_outside_stays_text() {
    let text = check("hostile", &reports::hostile());
    let shown = reports::HOSTILE.replace(['\u{0}', '\u{1b}'], "\u{fffd}");
    assert!(text.matches(&shown).count() >= 12, "it is shown as it is");
}
