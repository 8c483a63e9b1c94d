//! Reports as loadgen writes them, of runs that never were: realistic, seeded, and changed by a test
//! where it needs something else.
#![allow(dead_code, reason = "each test uses a part of it")]
#![expect(
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nothing is exported, and figures are chosen to fit"
)]

use loadgen::symbols::Symbols;
use serde_json::{Value as Json, json};

/// A small generator (SplitMix64): the same seed gives the same report.
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 <= share < 1
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About `value`, up to `spread` of it away.
    pub fn about(&mut self, value: f64, spread: f64) -> f64 {
        value * (1.0 + spread * (2.0 * self.share() - 1.0))
    }
}

pub fn times(samples: u64, p50_us: f64, tail: f64) -> Json {
    if samples == 0 {
        return json!({"samples": 0, "meanUs": null, "p50Us": null, "p90Us": null, "p95Us": null,
            "p99Us": null, "p999Us": null, "maxUs": null});
    }
    let at = |nines: f64| (p50_us * tail.powf(nines)).round() as u64;
    json!({"samples": samples, "meanUs": p50_us * 1.13, "p50Us": p50_us.round() as u64, "p90Us": at(0.6),
        "p95Us": at(0.8), "p99Us": at(1.3), "p999Us": at(2.1), "maxUs": at(3.2)})
}

/// Two points each time that the distance to 100 percent halves; `tail` is the factor of a nine.
pub fn curve(samples: u64, p50_us: f64, tail: f64) -> Json {
    let halvings = (samples.max(2) as f64).log2();
    let at = |nines: f64| {
        let beyond_median = nines - 2_f64.log10();
        let stretch = if beyond_median < 0.0 {
            2.2
        } else {
            1.0 + 0.06 * beyond_median
        };
        (p50_us * tail.powf(beyond_median * stretch)).round() as u64
    };
    let steps = (1..).map(|step| 0.5 * f64::from(step));
    let halves = steps.take_while(|&half| half < halvings);
    let mut points = vec![json!([0.02, at(0.0)])];
    points.extend(
        halves.map(|half| json!([100.0 * (1.0 - 0.5_f64.powf(half)), at(half * 2_f64.log10())])),
    );
    points.push(json!([100.0, at(halvings * 2_f64.log10())]));
    Json::Array(points)
}

/// `count` intervals of a steady load with an occasional hiccup.
pub fn timeline(
    dice: &mut Dice,
    interval_ms: u64,
    count: u64,
    per_second: f64,
    p50_us: f64,
) -> Json {
    let mut rss = 33_000_000.0;
    let samples: Vec<Json> = (0..count)
        .map(|index| {
            let hiccup = if dice.share() > 0.96 { 6.0 } else { 1.0 };
            rss += dice.share() * 6_000.0;
            json!({
                "atMs": index * interval_ms,
                "values": (dice.about(per_second, 0.02) * interval_ms as f64 / 1e3).round() as u64,
                "latencyP50Us": dice.about(p50_us, 0.08).round() as u64,
                "latencyP99Us": (dice.about(p50_us * 2.9, 0.2) * hiccup).round() as u64,
                "latencyMaxUs": (dice.about(p50_us * 5.5, 0.5) * hiccup).round() as u64,
                "connections": 1000,
                "serverCpuPercent": dice.about(37.0, 0.1),
                "serverRssBytes": rss as u64,
                "ownCpuPercent": dice.about(24.0, 0.1),
            })
        })
        .collect();
    json!({"intervalMs": interval_ms, "samples": samples})
}

pub fn judgement(target: &str, wanted: &str, measured: &str, outcome: Json) -> Json {
    json!({"target": target, "wanted": wanted, "measured": measured, "outcome": outcome})
}

pub fn no_verdict(why: &str) -> Json {
    json!({ "noVerdict": why })
}

/// 1000 clients, 50 symbols, 50 updates a second for half a minute; all targets met.
pub fn steady(seed: u64) -> Json {
    let mut dice = Dice(seed);
    let p50_us = dice.about(3_100.0, 0.05);
    let symbols = Symbols::first(50).expect("a count of symbols");
    let symbols = symbols.names();
    json!({
        "schema": 1,
        "tool": {"name": "loadgen", "version": "0.1.0", "commit": "3f750e4", "flags": ["run", "steady", "--url",
            "ws://127.0.0.1:8081/ws", "--connections", "1000", "--publish", "redis://127.0.0.1:6379", "--rate", "50",
            "--payload-bytes", "200", "--duration", "30s", "--server-pid", "4711", "--json", "steady.json"]},
        "machine": {"kernel": "6.18.44", "cpus": 2, "cpuModel": "Intel(R) Xeon(R) Processor"},
        "plan": {"scenario": "steady", "url": "ws://127.0.0.1:8081/ws", "symbols": symbols, "connections": 1000,
            "threads": 1, "warmUpMs": 2000, "durationMs": 30000, "graceMs": 2000, "ratePerSecond": 50, "burst": 1,
            "payloadBytes": 200, "windowUpdates": null, "slowPercent": null, "slowReadBytesPerSecond": null,
            "slowThaw": null},
        "window": {"runBegunAt": "2026-11-21T11:57:40.081Z", "startUs": 1_795_262_262_245_955_u64,
            "endUs": 1_795_262_292_245_955_u64, "measuredMs": 30000, "interrupted": false},
        "connections": {"asked": 1000, "established": 1000, "failed": 0, "lost": 0, "failures": {}, "losses": {},
            "closeCodes": {}, "connect": times(1000, 1_850.0, 2.4)},
        "delivery": {"basis": "publisher", "deliveredPercent": 100.0, "missing": 0, "expected": 1_500_000,
            "delivered": 1_500_000, "missingInGaps": 0, "missingAtEnd": 0, "missingOnLostConnections": 0,
            "silentPairs": 0, "duplicates": 0, "reorders": 0, "stale": 0, "foreign": 0, "uncounted": 0,
            "outsideWindow": 150_000},
        "account": {"pairs": 50_000, "balanced": 50_000, "unaccounted": 0, "told": 0, "contradictions": 0,
            "disorder": 0, "numbered": 1_650_000, "unnumbered": 0, "connectionsLeftOut": 0},
        "latency": times(1_500_000, p50_us, 2.2),
        "latencyCurve": curve(1_500_000, p50_us, 1.5),
        "latencyMethod": "fromIntended",
        "latencyHistogram": [[3100, 1_500_000]],
        "throughput": {"valuesPerSecond": dice.about(50_000.0, 0.001), "bytesPerSecond": 11_900_000.0},
        "messages": {"values": 1_650_000, "unaskedValues": 0, "valuesInWindow": 1_500_000,
            "bytesInWindow": 357_000_000, "rejectedNames": 0, "skippedNotices": 0, "skippedValues": 0, "errors": {},
            "notices": {"connected": 1000}, "malformed": 0, "binary": 0, "pings": 1000, "parsed": 2000},
        "timeline": timeline(&mut dice, 250, 120, 50_000.0, p50_us),
        "server": {"pids": [4711], "command": "tickwire --cores 0 --redis-url redis://127.0.0.1:6379",
            "cpuPercent": dice.about(37.0, 0.03), "rssBytesBefore": 24_100_000, "rssBytesStart": 33_000_000,
            "rssBytesEnd": 33_400_000, "rssBytesPeak": 33_500_000, "bytesPerConnection": 8_900.0,
            "growthBytesPerHour": null},
        "ramp": null, "churn": null, "storm": null, "slow": null,
        "publisher": {"published": 1500, "unheard": 0, "failure": null, "lateness": times(1500, 61.0, 2.0),
            "roundTrip": times(1500, 240.0, 2.5)},
        "ownUse": {"cpuPercent": 24.2, "receiveTurn": times(42_000, 190.0, 3.0), "beforeIntended": 0,
            "receiveThreads": [{"core": 1, "demandPercent": dice.about(26.0, 0.1), "enters": 51_000,
                "receivesStarved": 0}]},
        "verdict": {"judgements": [
                judgement("established", ">= 100 %", "100.000 %", json!("met")),
                judgement("delivery", ">= 99 %", "100.000 %", json!("met")),
                judgement("latency p99", "<= 500ms", "8.639ms", json!("met")),
                judgement("disorder", "<= 0", "0", json!("met")),
                judgement("account", "<= 0", "0", json!("met"))],
            "spoilers": [], "exitCode": 0},
    })
}

/// A closed loop: latency from the send.
pub fn saturate(seed: u64) -> Json {
    let mut report = steady(seed);
    report["plan"]["scenario"] = json!("saturate");
    report["plan"]["ratePerSecond"] = Json::Null;
    report["plan"]["windowUpdates"] = json!(8);
    report["latencyMethod"] = json!("fromSent");
    report["throughput"] = json!({"valuesPerSecond": 3_412_000.0, "bytesPerSecond": 812_000_000.0});
    report["timeline"] = timeline(&mut Dice(seed), 250, 120, 3_412_000.0, 2_300.0);
    report
}

/// No client came through, so that the window never opened.
pub fn nothing_measured() -> Json {
    let mut report = steady(3);
    let none = || times(0, 0.0, 0.0);
    report["connections"] = json!({"asked": 1000, "established": 0, "failed": 1000, "lost": 0,
        "failures": {"connection refused (os error 111)": 1000}, "losses": {}, "closeCodes": {}, "connect": none()});
    report["delivery"] = json!({"basis": "unaudited", "deliveredPercent": null, "missing": 0, "expected": 0,
        "delivered": 0});
    report["account"] = json!({});
    for (pointer, value) in [
        ("latency", none()),
        ("latencyCurve", json!([])),
        ("latencyHistogram", json!([])),
        ("timeline", Json::Null),
        ("server", Json::Null),
        ("publisher", Json::Null),
        ("messages", json!({})),
        (
            "throughput",
            json!({"valuesPerSecond": 0.0, "bytesPerSecond": 0.0}),
        ),
    ] {
        report[pointer] = value;
    }
    report["window"] = json!({"runBegunAt": "2026-11-21T11:57:40.081Z", "startUs": null, "endUs": null,
        "measuredMs": 0, "interrupted": false});
    report["ownUse"] = json!({"cpuPercent": null, "receiveTurn": none(), "beforeIntended": 0, "receiveThreads": []});
    report["verdict"] = json!({"judgements": [
            judgement("established", ">= 100 %", "0.000 %", json!("missed")),
            judgement("delivery", ">= 99 %", "unaudited",
                no_verdict("unaudited: no value of the window arrived, and its feed is not ours")),
            judgement("latency p99", "<= 500ms", "nothing", no_verdict("no value of the window arrived")),
            judgement("disorder", "<= 0", "0", json!("met")),
            judgement("account", "<= 0", "nothing", no_verdict("no value with a `seq` arrived"))],
        "spoilers": [], "exitCode": 1});
    report
}

/// The receive thread was too busy: its own fault, so no verdict; and the run was cut short.
pub fn no_verdict_and_interrupted() -> Json {
    let mut report = steady(4);
    let why = "a receive thread wanted its CPU for 97.8 % of the window; give it a CPU or use more --threads";
    report["window"]["interrupted"] = json!(true);
    report["window"]["measuredMs"] = json!(7250);
    report["server"] = Json::Null;
    report["timeline"] = timeline(&mut Dice(4), 250, 29, 50_000.0, 160_000.0);
    for sample in report["timeline"]["samples"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        sample["serverCpuPercent"] = Json::Null;
        sample["serverRssBytes"] = Json::Null;
    }
    report["ownUse"]["receiveThreads"][0]["demandPercent"] = json!(97.8);
    report["latency"] = times(362_500, 160_000.0, 3.0);
    report["latencyCurve"] = curve(362_500, 160_000.0, 1.9);
    report["verdict"]["judgements"][1]["outcome"] = no_verdict(why);
    report["verdict"]["judgements"][2] =
        judgement("latency p99", "<= 500ms", "668.159ms", no_verdict(why));
    report["verdict"]["spoilers"] = json!([why]);
    report["verdict"]["exitCode"] = json!(3);
    report
}

/// One client, one symbol, one value.
pub fn one_sample() -> Json {
    let mut report = steady(5);
    report["plan"]["connections"] = json!(1);
    report["plan"]["symbols"] = json!(["TCS"]);
    report["plan"]["ratePerSecond"] = json!(1);
    report["connections"]["asked"] = json!(1);
    report["connections"]["established"] = json!(1);
    report["delivery"]["expected"] = json!(1);
    report["delivery"]["delivered"] = json!(1);
    report["latency"] = json!({"samples": 1, "meanUs": 412.0, "p50Us": 412, "p90Us": 412, "p95Us": 412,
        "p99Us": 412, "p999Us": 412, "maxUs": 412});
    report["latencyCurve"] = json!([[100.0, 412], [100.0, 412]]);
    report["timeline"] = json!({"intervalMs": 250, "samples": [{"atMs": 0, "values": 1, "latencyP50Us": 412,
        "latencyP99Us": 412, "latencyMaxUs": 412, "connections": 1, "serverCpuPercent": 0.4,
        "serverRssBytes": 24_100_000, "ownCpuPercent": 0.2}]});
    report["window"]["measuredMs"] = json!(250);
    report["throughput"] = json!({"valuesPerSecond": 4.0, "bytesPerSecond": 952.0});
    report
}

/// Three hours, with a stall in the second one.
pub fn soak() -> Json {
    let mut report = steady(6);
    report["plan"]["scenario"] = json!("soak");
    report["plan"]["durationMs"] = json!(10_800_000);
    report["window"]["measuredMs"] = json!(10_800_000);
    report["timeline"] = timeline(&mut Dice(6), 90_000, 120, 50_000.0, 3_000.0);
    report["timeline"]["samples"][71]["latencyP99Us"] = json!(1_420_000);
    report["timeline"]["samples"][71]["latencyMaxUs"] = json!(1_910_000);
    let growth = |index: usize| 33_000_000 + 9_000 * index as u64;
    for (index, sample) in report["timeline"]["samples"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .enumerate()
    {
        sample["serverRssBytes"] = json!(growth(index));
    }
    report["server"]["growthBytesPerHour"] = json!(360_000.0);
    report["verdict"]["judgements"][2] =
        judgement("latency p99", "<= 500ms", "9.215ms", json!("met"));
    report
}

/// Levels of a rate, searched from below.
pub fn ramp() -> Json {
    let mut report = steady(7);
    report["plan"]["scenario"] = json!("ramp");
    report["plan"]["ratePerSecond"] = Json::Null;
    let level = |level: u64,
                 outcome: &str,
                 reason: Option<&str>,
                 delivered: f64,
                 p99_us: u64,
                 cpu: f64| {
        json!({"level": level, "outcome": outcome, "reason": reason, "deliveredPercent": delivered,
            "latencyP99Us": p99_us, "valuesPerSecond": level as f64 * 1000.0 * delivered / 100.0,
            "serverCpuPercent": cpu})
    };
    report["ramp"] = json!({"of": "rate", "held": 2250, "broke": 2500, "brokenTarget": "latency p99", "levels": [
        level(500, "met", None, 100.0, 9_100, 31.0),
        level(1000, "met", None, 100.0, 15_200, 52.0),
        level(2000, "met", None, 100.0, 41_000, 88.0),
        level(4000, "missed", Some("latency p99: 2.4 s, wanted <= 500ms"), 91.3, 2_400_000, 99.7),
        level(3000, "noVerdict", Some("a receive thread wanted its CPU for 98.0 % of the window; give it a CPU or use \
            more --threads"), 99.2, 720_000, 99.5),
        level(2500, "missed", Some("latency p99: 611 ms, wanted <= 500ms"), 100.0, 611_000, 98.9),
        level(2250, "met", None, 100.0, 118_000, 94.1)]});
    report
}

/// The level that ended it could not be judged.
pub fn ramp_without_verdict() -> Json {
    let mut report = ramp();
    report["ramp"]["levels"][5]["outcome"] = json!("noVerdict");
    report["verdict"]["exitCode"] = json!(3);
    report
}

/// Connections without values.
pub fn idle() -> Json {
    let mut report = steady(11);
    report["plan"]["scenario"] = json!("idle");
    report["plan"]["ratePerSecond"] = Json::Null;
    report["plan"]["expectsValues"] = json!(false);
    report["publisher"] = Json::Null;
    report["delivery"] = json!({"basis": "unaudited", "deliveredPercent": null});
    report["latency"] = times(0, 0.0, 0.0);
    report["latencyCurve"] = json!([]);
    report["throughput"] = json!({"valuesPerSecond": 0.0, "bytesPerSecond": 21.0});
    report["server"]["bytesPerConnection"] = json!(-628.0);
    for sample in report["timeline"]["samples"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        sample["values"] = json!(0);
        for figure in ["latencyP50Us", "latencyP99Us", "latencyMaxUs"] {
            sample[figure] = Json::Null;
        }
    }
    report["verdict"]["judgements"] = json!([judgement("kept", "0 lost", "0 lost", json!("met"))]);
    report
}

/// All clients dropped, back within a second and a half.
pub fn storm() -> Json {
    let mut report = steady(8);
    report["plan"]["scenario"] = json!("storm");
    let curve: Vec<_> = (0..40)
        .map(|index| {
            let ms = 90.0 + f64::from(index) * 31.0;
            let share = 1.0 / (1.0 + (-(ms - 640.0) / 130.0).exp());
            json!([ms, (1000.0 * share).min(1000.0).round() as u64])
        })
        .chain([json!([1404.0, 1000])])
        .collect();
    report["storm"] = json!({"connections": 1000, "cut": 1000, "recovered": 1000, "attempts": 1213,
        "resubscribed": times(1000, 590_000.0, 1.3), "newest": {"samples": 1000, "meanUs": 655_000.0, "p50Us": 640_000,
        "p90Us": 900_000, "p95Us": 1_000_000, "p99Us": 1_210_000, "p999Us": 1_390_000, "maxUs": 1_404_000},
        "curve": curve});
    for (index, sample) in report["timeline"]["samples"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let dropped = [
            (40, 0),
            (41, 120),
            (42, 610),
            (43, 890),
            (44, 980),
            (45, 1000),
        ];
        if let Some((_, up)) = dropped.into_iter().find(|&(at, _)| at == index) {
            sample["connections"] = json!(up);
            sample["values"] = json!(up * 12);
            if up == 0 {
                sample["latencyP50Us"] = Json::Null;
                sample["latencyP99Us"] = Json::Null;
                sample["latencyMaxUs"] = Json::Null;
            }
        }
    }
    report
}

/// Clients that come and go, twenty reasons to fail, and a part of the rest slow.
pub fn churn_with_failures() -> Json {
    let mut report = steady(9);
    report["plan"]["scenario"] = json!("churn");
    report["churn"] = json!({"asked": 12_000, "established": 9_120, "failed": 2_880,
        "connect": times(9_120, 2_300.0, 4.0), "lateness": times(12_000, 80.0, 3.0)});
    let failures: serde_json::Map<String, Json> = (0..20_u64)
        .map(|n| {
            let why = match n {
                0 => "the server answered 503 Service Unavailable, Retry-After: 5".to_owned(),
                1 => "no answer to `subscribe` within 10s".to_owned(),
                2 => "https://example.invalid/a-very-long-reason-without-any-space-".repeat(4),
                n => format!("connection reset by peer in state {n} (os error 104)"),
            };
            (why, json!(40_000 / (n * n + 1)))
        })
        .collect();
    report["connections"]["failures"] = Json::Object(failures);
    report["connections"]["failed"] = json!(64_211);
    report["connections"]["lost"] = json!(37);
    report["connections"]["losses"] = json!({"closed by the server": 30, "reset by the server": 7});
    report["connections"]["closeCodes"] = json!({"1013": 30, "1005": 2});
    report["messages"]["errors"] = json!({"RATE_LIMIT_EXCEEDED": 112, "INVALID_SYMBOL": 3});
    report["delivery"]["deliveredPercent"] = json!(99.999_6);
    report["delivery"]["missing"] = json!(6);
    report["delivery"]["delivered"] = json!(1_499_994);
    report["delivery"]["missingAtEnd"] = json!(6);
    report["verdict"]["judgements"][0] =
        judgement("established", ">= 100 %", "76.000 %", json!("missed"));
    report["verdict"]["exitCode"] = json!(1);
    report
}

/// A tenth of the clients frozen until the end.
pub fn slow() -> Json {
    let mut report = steady(10);
    report["plan"]["scenario"] = json!("slow");
    report["plan"]["slowPercent"] = json!(10.0);
    report["plan"]["slowReadBytesPerSecond"] = json!(0);
    report["plan"]["slowThaw"] = json!(true);
    report["connections"]["asked"] = json!(900);
    report["connections"]["established"] = json!(900);
    report["slow"] = json!({"connections": {"asked": 100, "established": 100, "failed": 0, "lost": 2, "failures": {},
            "losses": {"reset by the server": 2}, "closeCodes": {}, "connect": times(100, 1_900.0, 2.0)},
        "received": 31_250, "told": 118_750,
        "account": {"pairs": 4900, "balanced": 4900, "unaccounted": 0, "told": 118_750, "contradictions": 0,
            "disorder": 0, "numbered": 31_250, "connectionsLeftOut": 2},
        "finality": {"connections": 98, "pairsFinal": 4900, "pairsNotFinal": 0}, "messages": {}});
    report
}

/// Whatever a peer or a command line may hold.
pub const HOSTILE: &str = "</script><script src=\"https://evil.example/x.js\">'\"&amp;<img src=//evil.example onerror=alert(1)>\u{0}\u{1b}[31m]]>";

pub fn hostile() -> Json {
    let mut report = churn_with_failures();
    report["plan"]["url"] = json!(HOSTILE);
    report["plan"]["scenario"] = json!(HOSTILE);
    report["tool"]["flags"] = json!(["--url", HOSTILE]);
    report["tool"]["commit"] = json!(HOSTILE);
    report["machine"] = json!({"kernel": HOSTILE, "cpus": 2, "cpuModel": HOSTILE});
    report["connections"]["failures"] = json!({ HOSTILE: 3 });
    report["connections"]["losses"] = json!({ HOSTILE: 3 });
    report["messages"]["errors"] = json!({ HOSTILE: 3 });
    report["server"]["command"] = json!(HOSTILE);
    report["publisher"]["failure"] = json!(HOSTILE);
    report["ramp"] = json!({"of": "connections", "held": null, "broke": 10, "brokenTarget": HOSTILE, "levels": [
        {"level": 10, "outcome": "missed", "reason": HOSTILE, "valuesPerSecond": 0.0}]});
    report["verdict"] = json!({"judgements": [judgement(HOSTILE, HOSTILE, HOSTILE, no_verdict(HOSTILE))],
        "spoilers": [HOSTILE], "exitCode": 3});
    report
}
