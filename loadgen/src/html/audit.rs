//! Whether every value came, once and in order, and whether the server's own account holds.

use super::section::{Block, Column, Section, Table};
use crate::result::{Account, RunResult, Verification};
use crate::units::Count;

const COLUMNS: [Column; 3] = [
    Column::Text("what"),
    Column::Figure("count"),
    Column::Text("meaning"),
];

pub(super) fn section(result: &RunResult) -> Section {
    let mut tables = vec![delivery(result), disorder(result)];
    let mut blocks = Vec::new();
    if result.account.numbered > 0 {
        tables.push(account("The server’s own account", &result.account));
    } else {
        blocks.push(Block::Note(
            "The server numbers no values, so it gives no account of its own.".to_owned(),
        ));
    }
    tables.extend(result.verification.as_ref().map(verification));
    blocks.insert(0, Block::Tables(tables));
    Section {
        title: "Delivery and order",
        blocks,
    }
}

fn delivery(result: &RunResult) -> Table {
    let delivery = &result.delivery;
    let basis = match &*delivery.basis {
        "publisher" => "counted at loadgen’s publisher",
        "observedCounters" => "counted by the counters of the server’s own feed",
        _ => "not known: nothing counts what should have come",
    };
    Table::new("Delivery", &COLUMNS)
        .row([&"expected", &Count(delivery.expected), &basis])
        .row([
            &"delivered",
            &Count(delivery.delivered),
            &"distinct values, until the end of the grace",
        ])
        .row([
            &"missing in gaps",
            &Count(delivery.missing_in_gaps),
            &"a later value of the symbol came",
        ])
        .row([
            &"missing at the end",
            &Count(delivery.missing_at_end),
            &"no later value came",
        ])
        .row([
            &"… while away",
            &Count(delivery.missing_while_away),
            &"due to clients between a drop and their return",
        ])
        .row([
            &"… on lost connections",
            &Count(delivery.missing_on_lost_connections),
            &"the part that was owed to clients that had gone",
        ])
        .row([
            &"silent pairs",
            &Count(delivery.silent_pairs),
            &"client and symbol that got nothing",
        ])
}

fn verification(of: &Verification) -> Table {
    Table::new("Byte for byte", &COLUMNS)
        .row([&"compared", &Count(of.compared), &"with what was published"])
        .row([&"changed", &Count(of.changed), &"were something else"])
        .row([
            &"unverified",
            &Count(of.unverified),
            &"of batches, or without counter or time",
        ])
}

fn disorder(result: &RunResult) -> Table {
    let (delivery, messages) = (&result.delivery, &result.messages);
    Table::new("Disorder", &COLUMNS)
        .row([&"duplicates", &Count(delivery.duplicates), &"came before"])
        .row([
            &"reorders",
            &Count(delivery.reorders),
            &"older than the newest of their symbol",
        ])
        .row([
            &"stale",
            &Count(delivery.stale),
            &"too old to tell which of the two",
        ])
        .row([
            &"foreign",
            &Count(delivery.foreign),
            &"not of loadgen’s schedule",
        ])
        .row([
            &"malformed",
            &Count(messages.malformed),
            &"no JSON object of the wire",
        ])
        .row([
            &"uncounted",
            &Count(delivery.uncounted),
            &"without counter or time; not judged",
        ])
}

pub(super) fn account(caption: &str, account: &Account) -> Table {
    Table::new(caption, &COLUMNS)
        .row([
            &"pairs",
            &Count(account.pairs),
            &"of client and symbol, with a numbered value",
        ])
        .row([
            &"balanced",
            &Count(account.balanced),
            &"received and told make up what was counted",
        ])
        .row([
            &"unaccounted",
            &Count(account.unaccounted),
            &"neither received nor told as skipped",
        ])
        .row([
            &"told as skipped",
            &Count(account.told),
            &"left out, and said so",
        ])
        .row([
            &"contradictions",
            &Count(account.contradictions),
            &"notices that can’t be true",
        ])
        .row([
            &"out of order",
            &Count(account.disorder),
            &"numbers that do not grow",
        ])
        .row([
            &"left out",
            &Count(account.connections_left_out),
            &"lost connections: their account stays open",
        ])
}
