//! A run's report as one page that needs nothing else: no request, no library, no font.
//!
//! What the reader wants first is first: the verdict with its reasons, the key figures, then what they
//! rest on. Charts are SVG ([`chart`]); the page's script only makes their read-outs easier to reach. It
//! is laid out for a desk, a phone and paper, light and dark, and does not rely on colour.
//!
//! Everything that comes from outside (reasons that a peer gave, the command line, the URL) is text:
//! the templates escape it, and the page's content security policy lets it load nothing.
//!
//! Latency from the send ([`LatencyMethod::FromSent`]) is uncorrected and says so wherever it stands.

mod audit;
mod chart;
mod clients;
mod course;
mod environment;
mod headline;
mod latency;
mod resources;
mod scenario;
mod section;

use askama::Template;

use self::headline::{KeyFigure, Status};
use self::section::{Block, Drawing, Section};
use crate::result::{LatencyMethod, Outcome, RunResult};

/// The page. It is well-formed XML as well, so that a strict parser can check it.
#[derive(Debug, Template)]
#[template(path = "page.html")]
struct Page<'a> {
    result: &'a RunResult,
    title: String,
    status: Status,
    /// The verdict in a sentence.
    ruling: String,
    /// What happened, in a sentence or two.
    summary: String,
    figures: Vec<KeyFigure>,
    sections: Vec<Section>,
}

/// Renders the page.
#[must_use]
pub fn render(result: &RunResult) -> String {
    let mut sections = Vec::new();
    sections.extend(scenario::section(result));
    sections.push(latency::section(result));
    sections.push(course::section(result));
    sections.push(resources::section(result));
    sections.push(audit::section(result));
    sections.push(clients::section(result));
    sections.extend(clients::slow(result));
    sections.push(environment::environment(result));
    sections.push(environment::method(result));
    let status = Status::of(&result.verdict);
    let page = Page {
        result,
        title: headline::title(result),
        status,
        ruling: headline::ruling(result),
        summary: headline::summary(result),
        figures: headline::key_figures(result),
        sections,
    };
    page.to_string()
}

/// Added to the name of each latency that is not what it seems.
fn uncorrected(result: &RunResult) -> &'static str {
    match result.latency_method {
        LatencyMethod::FromIntended => "",
        LatencyMethod::FromSent => " (uncorrected)",
    }
}

/// Word, sign and reason of one target.
fn judged(outcome: &Outcome) -> (Status, &str) {
    match outcome {
        Outcome::Met => (Status::Met, ""),
        Outcome::Missed => (Status::Missed, ""),
        Outcome::NoVerdict(why) => (Status::NoVerdict, why),
    }
}
