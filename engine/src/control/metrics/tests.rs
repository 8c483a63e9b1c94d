use std::collections::BTreeSet;

use super::super::{exposition, shards};
use super::*;

/// As they stand in the text.
const BOUNDS: [&str; 20] = [
    "0.00001", "0.00002", "0.00005", "0.0001", "0.0002", "0.0005", "0.001", "0.002", "0.005",
    "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1.0", "2.0", "5.0", "10.0", "+Inf",
];

/// The names and labels that dashboards rely on.
#[test]
fn metrics_have_the_names_and_labels_of_the_contract_from_the_start() {
    let text = zero_scrape(2).into_text().unwrap();
    assert!(text.ends_with("# EOF\n"));
    let mut expected = BTreeSet::new();
    let mut expect = |name: &str, labels: &[&str]| {
        if labels.is_empty() {
            expected.insert(name.to_owned());
        }
        expected.extend(labels.iter().map(|labels| format!("{name}{{{labels}}}")));
    };
    let shards = [r#"shard="0""#, r#"shard="1""#];
    for shard in shards {
        for mode in ["direct", "queued", "conflating"] {
            expect(
                "tickwire_connections",
                &[&format!("{shard},mode=\"{mode}\"")],
            );
        }
    }
    expect("tickwire_mailbox_conflated_total", &shards);
    for account in [
        "offered",
        "sent",
        "skipped",
        "throttled",
        "dropped",
        "cancelled",
    ] {
        expect(&format!("tickwire_ledger_{account}_total"), &shards);
    }
    expect("tickwire_ledger_queued", &shards);
    expect("tickwire_ledger_in_flight", &shards);
    for name in ["subscriptions", "topics", "groups", "interest_symbols"] {
        expect(&format!("tickwire_{name}"), &[]);
    }
    for name in [
        "ingest_duplicates",
        "ingest_keys_dropped",
        "ingest_paused",
        "broadcasts_withheld",
        "log_lines_lost",
        "snapshots_sent",
        "bytes_sent",
        "sends",
    ] {
        expect(&format!("tickwire_{name}_total"), &[]);
    }
    let families: [(&str, &str, &[&str]); 10] = [
        (
            "tickwire_interest_publishes_total",
            "result",
            &["ok", "failed"],
        ),
        (
            "tickwire_control_messages_total",
            "action",
            &Ordered::LABELS,
        ),
        (
            "tickwire_ingest_updates_total",
            "source",
            &["redis", "simulated", "http"],
        ),
        (
            "tickwire_ingest_rejected_total",
            "reason",
            &[
                "not_json",
                "not_utf8",
                "not_object",
                "missing_symbol",
                "invalid_symbol",
                "missing_type",
                "reserved_key",
                "duplicate_key",
                "too_deep",
                "too_large",
                "topics_exhausted",
            ],
        ),
        ("tickwire_source_up", "source", &["redis"]),
        (
            "tickwire_memory_bytes",
            "holder",
            &["frames", "inbound", "process"],
        ),
        (
            "tickwire_closes_total",
            "reason",
            &CloseReason::ALL.map(CloseReason::as_str),
        ),
        (
            "tickwire_handshakes_total",
            "result",
            &HandshakeResult::LABELS,
        ),
        (
            "tickwire_messages_received_total",
            "action",
            &Action::LABELS,
        ),
        (
            "tickwire_errors_sent_total",
            "code",
            &ErrorCode::ALL.map(ErrorCode::as_str),
        ),
    ];
    for (name, label, values) in families {
        for value in values {
            expect(name, &[&format!("{label}=\"{value}\"")]);
        }
    }
    for stage in ["ingest_to_submit", "ingest_to_sent", "turn"] {
        let name = format!("tickwire_{stage}_seconds");
        expect(&format!("{name}_sum"), &shards);
        expect(&format!("{name}_count"), &shards);
        for bound in BOUNDS {
            let labels = shards.map(|shard| format!("le=\"{bound}\",{shard}"));
            expect(&format!("{name}_bucket"), &[&labels[0], &labels[1]]);
        }
    }
    expect("tickwire_ingest_lag_seconds", &[]);
    expect("process_cpu_seconds_total", &[]);
    for name in [
        "resident_memory_bytes",
        "virtual_memory_bytes",
        "open_fds",
        "max_fds",
        "start_time_seconds",
    ] {
        expect(&format!("process_{name}"), &[]);
    }

    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(found.insert(series.to_owned()), "twice: {series}");
        if series.contains("_lag_") {
            assert_eq!(value, "NaN", "{series}");
        } else if series.starts_with("tickwire_")
            && !series.contains("process")
            && !series.contains("_up")
        {
            assert_eq!(value.parse(), Ok(0.0), "{series}");
        }
        let name = series.split('{').next().unwrap();
        let (family, kind) = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, "histogram")))
            .or_else(|| Some((name.strip_suffix("_total")?, "counter")))
            .unwrap_or((name, "gauge"));
        assert!(text.contains(&format!("# HELP {family} ")), "{name}");
        assert!(
            text.contains(&format!("# TYPE {family} {kind}\n")),
            "{name}"
        );
    }
    let difference: Vec<_> = expected.symmetric_difference(&found).collect();
    assert!(difference.is_empty(), "{difference:#?}\n{text}");
}

#[test]
fn the_plain_format_names_counters_as_they_are_sampled() {
    let text = exposition::plain(&zero_scrape(1).into_text().unwrap());
    assert!(!text.contains("# EOF"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        assert!(text.contains(&format!("# HELP {family} ")), "{family}");
        assert!(text.contains(&format!("# TYPE {family} ")), "{family}");
    }
}

#[test]
fn counts_are_summed_over_shards_and_kept_apart_by_label() {
    let mut scrape = zero_scrape(2);
    for (shard, metrics) in scrape.shards.iter_mut().enumerate() {
        let count = shard as u64 + 1;
        metrics.connections = [count, 10 * count, 100 * count];
        metrics.subscriptions = count;
        metrics.ledger.offered = count;
        metrics.counters.closes[CloseReason::Overload as usize] = count;
        metrics.frames = (1, 1_000 * count);
    }
    scrape.ingest.conflated = vec![5, 6];
    let text = scrape.into_text().unwrap();
    for line in [
        "tickwire_connections{shard=\"1\",mode=\"conflating\"} 200",
        "tickwire_subscriptions 3",
        "tickwire_ledger_offered_total{shard=\"0\"} 1",
        "tickwire_ledger_offered_total{shard=\"1\"} 2",
        "tickwire_closes_total{reason=\"overload\"} 3",
        "tickwire_closes_total{reason=\"eof\"} 0",
        "tickwire_memory_bytes{holder=\"frames\"} 3000",
        "tickwire_mailbox_conflated_total{shard=\"1\"} 6",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

fn zero_scrape(shards: usize) -> Scrape {
    let ingest = IngestMetrics {
        conflated: vec![0; shards],
        ..IngestMetrics::default()
    };
    Scrape {
        shards: (0..shards).map(shards::nothing_yet).collect(),
        ingest,
        sources: vec![("redis", 1)],
        interest: InterestCounts::default(),
        process: ProcessReading::take(),
        started_unix_seconds: 1.5,
    }
}
