//! `GET /connections`: single sessions, those first that an operator looks for.

use hyper::StatusCode;
use serde::Serialize;

use super::AdminState;
use super::admin::{Answer, failure, json};
use crate::shard::metrics::ShardMetrics;
use crate::shard::{ConnectionReport, ReportOrder};

pub(super) const PATH: &str = "/connections";

/// Sessions in an answer, unless `top` says otherwise.
const TOP: usize = 20;

/// Sessions in an answer, whatever `top` says: about 300 KB.
const TOP_MAX: usize = 1_000;

#[derive(Serialize)]
struct Connections {
    connections: Vec<Connection>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    client_id: String,
    /// Empty where the peer is gone already.
    peer: String,
    shard: usize,
    mode: &'static str,
    queued_frames: u64,
    queued_bytes: u64,
    oldest_ms: u64,
    offered: u64,
    sent: u64,
    skipped: u64,
    subscriptions: u64,
    connected_at: String,
}

pub(super) async fn answer(state: &AdminState, query: Option<&str>) -> Answer {
    let (top, order) = match understand(query.unwrap_or_default()) {
        Ok(understood) => understood,
        Err(error) => return failure(StatusCode::BAD_REQUEST, &error),
    };
    let connections = state.shards.connections(top, order).await;
    let connections = connections
        .into_iter()
        .map(|(report, peer)| describe(report, peer.map(|peer| peer.to_string())))
        .collect();
    json(StatusCode::OK, &Connections { connections })
}

fn describe(report: ConnectionReport, peer: Option<String>) -> Connection {
    let mode = ShardMetrics::MODES
        .into_iter()
        .find(|(mode, _)| *mode == report.mode);
    Connection {
        client_id: report.client_id,
        peer: peer.unwrap_or_default(),
        shard: report.shard,
        mode: mode.map_or("", |(_, name)| name),
        queued_frames: report.queued_frames,
        queued_bytes: report.queued_bytes,
        oldest_ms: report.oldest_ms,
        offered: report.offered,
        sent: report.sent,
        skipped: report.skipped,
        subscriptions: report.subscriptions,
        connected_at: report.connected_at.to_string(),
    }
}

/// Reads `top=20&by=queue`; both may be left out.
fn understand(query: &str) -> Result<(usize, ReportOrder), String> {
    let (mut top, mut order) = (TOP, ReportOrder::Queue);
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=').unwrap_or((part, "")) {
            ("top", value) => {
                top = match value.parse() {
                    Ok(top) if (1..=TOP_MAX).contains(&top) => top,
                    _ => return Err(format!("top must be a whole number from 1 to {TOP_MAX}")),
                }
            }
            ("by", "queue") => order = ReportOrder::Queue,
            ("by", "age") => order = ReportOrder::Age,
            ("by", "skipped") => order = ReportOrder::Skipped,
            ("by", _) => return Err("by must be queue, age or skipped".to_owned()),
            (name, _) => return Err(format!("`{name}` is unknown; give top and by")),
        }
    }
    Ok((top, order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_understood_or_refused_with_what_would_be_right() {
        assert_eq!(understand(""), Ok((20, ReportOrder::Queue)));
        assert_eq!(understand("by=age&top=3"), Ok((3, ReportOrder::Age)));
        for (query, remedy) in [
            ("top=0", "from 1 to 1000"),
            ("top=x", "from 1 to 1000"),
            ("by=size", "queue, age or skipped"),
            ("sort=age", "give top and by"),
        ] {
            assert!(understand(query).unwrap_err().contains(remedy), "{query}");
        }
    }
}
