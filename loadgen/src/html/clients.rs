//! What became of the clients.

use super::audit::account;
use super::section::{Block, Column, Section, Table};
use crate::result::{Connections, RunResult};
use crate::units::Count;

/// More reasons are folded away.
const REASONS_SHOWN: usize = 8;

pub(super) fn section(result: &RunResult) -> Section {
    let connections = &result.connections;
    let mut blocks = vec![Block::Tables(vec![
        outcome("Clients", connections),
        notices(result),
    ])];
    blocks.extend(reasons(connections));
    let errors = result
        .messages
        .errors
        .iter()
        .map(|(code, count)| (code.as_str(), *count));
    let errors = ranked("Errors that the server answered", "code", errors);
    blocks.extend(shown_and_folded(errors));
    Section {
        title: "Clients and messages",
        blocks,
    }
}

/// `None` without slow clients.
pub(super) fn slow(result: &RunResult) -> Option<Section> {
    let (slow, plan) = (result.slow.as_ref()?, &result.plan);
    let reading = match plan.slow_read_bytes_per_second {
        None => "read slowly".to_owned(),
        Some(0) => "read nothing".to_owned(),
        Some(bytes) => format!("read {} bytes a second", Count(bytes)),
    };
    let end = match plan.slow_thaw {
        Some(true) => " until the window closed, and then all they could",
        Some(false) => " to the end",
        None => "",
    };
    let mut blocks = vec![Block::Note(format!(
        "They {reading}{end}. All other figures of this page are about the healthy clients."
    ))];
    let columns = [Column::Text("what"), Column::Figure("count")];
    let mut received = Table::new("What they got", &columns)
        .row([&"values received", &Count(slow.received)])
        .row([&"values told as skipped", &Count(slow.told)]);
    if let Some(finality) = &slow.finality {
        received = received
            .row([
                &"pairs that ended on the newest value",
                &Count(finality.pairs_final),
            ])
            .row([&"pairs that did not", &Count(finality.pairs_not_final)]);
    }
    let mut tables = vec![outcome("Slow clients", &slow.connections), received];
    tables.extend(
        slow.account
            .as_ref()
            .map(|of| account("The server’s account of them", of)),
    );
    blocks.push(Block::Tables(tables));
    blocks.extend(reasons(&slow.connections));
    Some(Section {
        title: "Slow clients",
        blocks,
    })
}

fn outcome(caption: &str, connections: &Connections) -> Table {
    let columns = [Column::Text("clients"), Column::Figure("count")];
    Table::new(caption, &columns)
        .row([&"asked for", &Count(connections.asked)])
        .row([&"established", &Count(connections.established)])
        .row([&"failed", &Count(connections.failed)])
        .row([&"lost", &Count(connections.lost)])
        .row([&"fell silent", &Count(connections.fell_silent)])
}

fn notices(result: &RunResult) -> Table {
    let messages = &result.messages;
    let columns = [
        Column::Text("messages of the whole run"),
        Column::Figure("count"),
    ];
    Table::new("Messages", &columns)
        .row([&"values, with snapshots", &Count(messages.values)])
        .row([
            &"notices of skipped values",
            &Count(messages.skipped_notices),
        ])
        .row([
            &"values that those tell of",
            &Count(messages.skipped_values),
        ])
        .row([
            &"values of symbols not asked for",
            &Count(messages.unasked_values),
        ])
        .row([&"names rejected", &Count(messages.rejected_names)])
        .row([&"binary messages", &Count(messages.binary)])
}

/// Why clients failed and were lost, most frequent first.
fn reasons(connections: &Connections) -> Vec<Block> {
    let failures = connections
        .failures
        .iter()
        .map(|(why, count)| (why.as_str(), *count));
    let losses = connections
        .losses
        .iter()
        .map(|(why, count)| (why.as_str(), *count));
    let codes = connections
        .close_codes
        .iter()
        .map(|(code, count)| (code.as_str(), *count));
    let ranked = [
        ranked("Why clients failed", "reason", failures),
        ranked("Why clients were lost", "reason", losses),
        ranked("Codes of close frames", "code", codes),
    ];
    ranked.into_iter().flat_map(shown_and_folded).collect()
}

/// Nothing where there is nothing.
fn shown_and_folded([shown, folded]: [Table; 2]) -> impl Iterator<Item = Block> {
    let shown = (!shown.is_empty()).then(|| Block::Tables(vec![shown]));
    let folded =
        (!folded.is_empty()).then(|| Block::Folded("The less frequent ones".to_owned(), folded));
    shown.into_iter().chain(folded)
}

/// The most frequent, and the rest.
fn ranked<'a>(
    caption: &str,
    what: &'static str,
    counts: impl Iterator<Item = (&'a str, u64)>,
) -> [Table; 2] {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let columns = [Column::Text(what), Column::Figure("count")];
    let (shown, folded) = counts.split_at(counts.len().min(REASONS_SHOWN));
    [shown, folded].map(|part| {
        let table = Table::new(caption, &columns);
        part.iter().fold(table, |table, (what, count)| {
            table.row([what, &Count(*count)])
        })
    })
}
