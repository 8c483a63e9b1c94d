"""Samples of perf/soak, and the verdict on them.

    python3 perf/soak.py facts COMMAND SECONDS       each of these prints a line for the file of samples
    python3 perf/soak.py sample PHASE PID ADMIN_URL
    python3 perf/soak.py slow ROUND REPORT
    python3 perf/soak.py load REPORT
    python3 perf/soak.py log EXIT_CODE ENGINE_LOG
    python3 perf/soak.py report SAMPLES              the table; also to perf/results/
    python3 perf/soak.py check                       the arithmetic against what is known
"""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

METRIC = re.compile(r"^(\w+?)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')
PARTS = ("sent", "skipped", "throttled", "dropped", "cancelled", "queued", "in_flight")
# Resident memory comes in pages of 4 KiB; less than so many an hour can't be told from nothing.
SLOPE_FLOOR_KIB_PER_H = 64
# Over less, a slope says more of the start than of the hours after it.
SPAN_MIN_S = 600
# What a run beside other work can't be held to: the CPU that it got.
NOT_JUDGED = ("latency p99", "growth")
# Those who watch another's feed can't tell what was never published, for Redis was away, from what was lost.
NOT_JUDGED_OF_SLOW = (*NOT_JUDGED, "delivery", "silence")


@dataclass(frozen=True)
class Slope:
    """Of a straight line through the points, per unit of x."""

    per_x: float
    error: float
    # Correlation of each residual with the next: samples that follow each other say less than their number.
    correlation: float


def regress(xs, ys):
    """Least squares; the standard error is widened for residuals that hang together (first-order autocorrelation)."""
    count = len(xs)
    if count < 3:
        raise ValueError("a slope with its error takes three points")
    x_mean, y_mean = sum(xs) / count, sum(ys) / count
    spread = sum((x - x_mean) ** 2 for x in xs)
    per_x = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys)) / spread
    residuals = [y - y_mean - per_x * (x - x_mean) for x, y in zip(xs, ys)]
    squares = sum(residual**2 for residual in residuals)
    if squares <= 1e-9 * (1 + y_mean**2):
        return Slope(per_x, 0.0, 0.0)
    correlation = sum(a * b for a, b in zip(residuals, residuals[1:])) / squares
    # Positive correlation alone: the other kind would make the error smaller than that of as many independent samples.
    held = min(max(correlation, 0.0), 0.99)
    error = sqrt(squares / (count - 2) / spread) * sqrt((1 + held) / (1 - held))
    return Slope(per_x, error, correlation)


def is_growth(slope):
    """Of KiB per hour: more than noise and pages explain."""
    return slope.per_x > max(2 * slope.error, SLOPE_FLOOR_KIB_PER_H)


def line(**fields):
    print(json.dumps(fields, separators=(",", ":")))


def facts(command, seconds):
    model = next((row.split(": ", 1)[1].strip() for row in open("/proc/cpuinfo") if row.startswith("model name")), "?")
    shown = lambda *words: subprocess.run(words, capture_output=True, text=True).stdout.strip()
    commit = shown("git", "rev-parse", "--short", "HEAD")
    if shown("git", "status", "--porcelain", "--", "engine", "loadgen", "protocol"):
        commit += " with changes that are not committed"
    cpus = sorted(os.sched_getaffinity(0))
    line(
        facts={
            "command": command,
            "durationS": int(seconds),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%F"),
            "commit": commit,
            "machine": f"{os.cpu_count()} × {model}, of which CPU {', '.join(map(str, cpus))}; Linux {platform.release()}",
            "nice": os.nice(0),
        }
    )


def sample(phase, pid, admin):
    process = Path("/proc", pid)
    status = dict(row.split(":", 1) for row in (process / "status").read_text().splitlines())
    # Behind the name, which may hold blanks: fields 14 and 15 of proc(5).
    ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    # Before asking for metrics, which takes a descriptor, too. At rest the least of some counts: who asked just before,
    # such as the harness, may not be gone yet.
    counts = [len(os.listdir(process / "fd"))]
    while phase != "load" and len(counts) < 10:
        time.sleep(0.2)
        counts.append(len(os.listdir(process / "fd")))
    metrics = urllib.request.urlopen(f"{admin}/metrics", timeout=5).read().decode()
    ledger, modes, held, plain = {}, {}, {}, {}
    for match in filter(None, map(METRIC.match, metrics.splitlines())):
        name, labels, value = match[1], dict(LABEL.findall(match[2] or "")), float(match[3])
        if name.startswith("tickwire_ledger_"):
            part = name.removeprefix("tickwire_ledger_").removesuffix("_total")
            ledger.setdefault(labels["shard"], {})[part] = int(value)
        elif name == "tickwire_connections":
            modes[labels.get("mode", "")] = modes.get(labels.get("mode", ""), 0) + int(value)
        elif name == "tickwire_memory_bytes":
            held[labels["holder"]] = int(value)
        elif name in ("tickwire_source_up", "tickwire_ingest_updates_total", "tickwire_log_lines_lost_total"):
            plain[name] = plain.get(name, 0) + int(value)
        elif name in ("tickwire_closes_total",):
            key = labels["reason"]
            plain.setdefault("closes", {})[key] = plain.setdefault("closes", {}).get(key, 0) + int(value)
    line(
        phase=phase,
        at_s=round(time.time(), 1),
        rss_kib=int(status["VmRSS"].split()[0]),
        peak_kib=int(status["VmHWM"].split()[0]),
        descriptors=min(counts),
        threads=int(status["Threads"]),
        cpu_s=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        connections=modes,
        ledger=ledger,
        held=held,
        **plain,
    )


def judgements(report):
    return [{key: one.get(key) for key in ("target", "wanted", "measured", "outcome")} for one in report["verdict"]["judgements"]]


def slow(number, path):
    report = json.loads(Path(path).read_text())
    part = report.get("slow") or {}
    line(slow=int(number), judgements=judgements(report), finality=part.get("finality"), connections=part.get("connections"))


def load(path):
    report = json.loads(Path(path).read_text())
    kept = {key: report.get(key) for key in ("delivery", "account", "latency", "connections", "churn", "publisher", "window")}
    line(load=kept, judgements=judgements(report), spoilers=report["verdict"]["spoilers"])


def log(code, path):
    rows = Path(path).read_text(errors="replace").splitlines()
    count = lambda pattern: sum(bool(re.search(pattern, row)) for row in rows)
    line(log={"exitCode": int(code), "lines": len(rows), "panics": count(r"panicked|RUST_BACKTRACE"), "errors": count(r"\bERROR\b")})


class Judged:
    """Rows of the table, and what follows from them."""

    def __init__(self):
        self.rows = []

    def add(self, what, wanted, measured, holds):
        """`holds` is None where it can't be said."""
        self.rows.append((what, wanted, measured, {True: "met", False: "**missed**", None: "no verdict"}[holds]))

    @property
    def exit_code(self):
        outcomes = [row[3] for row in self.rows]
        return 1 if "**missed**" in outcomes else 3 if "no verdict" in outcomes else 0


def memory_slope(samples):
    """Of resident memory, in KiB per hour."""
    return regress([one["at_s"] / 3600 for one in samples], [one["rss_kib"] for one in samples])


def told(judgement):
    """What loadgen measured, and whether the target holds."""
    outcome = judgement["outcome"]
    if isinstance(outcome, dict):
        return f"{judgement['measured']} ({outcome['noVerdict']})", None
    return judgement["measured"], outcome == "met"


def unbalanced(samples):
    """Shards whose ledger does not add up, over all samples."""
    shards = [shard for one in samples for shard in one["ledger"].values()]
    return sum(shard["offered"] != sum(shard[part] for part in PARTS) for shard in shards), len(shards)


def judge(lines):
    """Table rows, figures to tell beside them, and the points of the result."""
    of = lambda key: [one for one in lines if key in one]
    samples = of("phase")
    under_load = [one for one in samples if one["phase"] == "load"]
    before, after = samples[0], samples[-1]
    if len(under_load) < 6 or after["phase"] != "after":
        sys.exit("the run did not come to its end: there are too few samples for a report")
    count = len(under_load)
    half = under_load[count // 2 :]
    span_s = half[-1]["at_s"] - half[0]["at_s"]
    slope = memory_slope(half)

    judged = Judged()
    measured = f"{slope.per_x:+.0f} ± {slope.error:.0f} KiB/h over the last {span_s / 60:.0f} min"
    judged.add("slope of resident memory", f"not above two errors, or {SLOPE_FLOOR_KIB_PER_H} KiB/h", measured,
               not is_growth(slope) if span_s >= SPAN_MIN_S else None)
    judged.add("descriptors after all clients left", f"at most {before['descriptors']}, as before", after["descriptors"],
               after["descriptors"] <= before["descriptors"])
    left = sum(after["connections"].values())
    judged.add("connections left", 0, left, left == 0)
    wrong, looked = unbalanced(samples)
    judged.add("ledger of each shard, in each sample", "exact", f"{wrong} of {looked} off", wrong == 0)
    under_way = sum(shard["queued"] + shard["in_flight"] for shard in after["ledger"].values())
    judged.add("values under way in the end", 0, under_way, under_way == 0)
    for one in of("log"):
        found = one["log"]
        judged.add("panics and errors in the engine's log", 0, found["panics"] + found["errors"], found["panics"] + found["errors"] == 0)
        judged.add("the engine's exit code", 0, found["exitCode"], found["exitCode"] == 0)
    outages = of("redis")
    lost = [one for one in samples if "tickwire_source_up" in one][-1]
    judged.add("the source in the end", "up", "up" if lost["tickwire_source_up"] else "down", bool(lost["tickwire_source_up"]))
    of_load = of("load")
    for one in of_load:
        for found in one["judgements"]:
            if found["target"] not in NOT_JUDGED:
                who = "clients that come and go" if found["target"] == "churn" else f"clients that stay: {found['target']}"
                judged.add(who, found["wanted"], *told(found))
    if not of_load:
        judged.add("loadgen's report", "there", "none", False)
    rounds = of("slow")
    missed = [f"round {one['slow']}: {j['target']} {j['measured']}" for one in rounds for j in one["judgements"]
              if j["outcome"] == "missed" and j["target"] not in NOT_JUDGED_OF_SLOW]
    judged.add("slow clients, rounds with a missed target", 0, "; ".join(missed) or 0, not missed if rounds else None)

    published = of_load[0]["load"]["publisher"] if of_load else {}
    final = [one["finality"] for one in rounds if one["finality"]]
    first, last = under_load[0], under_load[-1]
    wall = last["at_s"] - first["at_s"]
    quarters = [under_load[count * n // 4 : count * (n + 1) // 4] for n in range(4)]
    means = [f"{sum(one['rss_kib'] for one in part) / len(part):.0f}" for part in quarters]
    slopes = [memory_slope(part) for part in quarters if len(part) > 2]
    closes = after.get("closes", {})
    beside = [
        ("measured", f"{wall / 60:.1f} min, {len(under_load)} samples"),
        ("resident memory, KiB", f"{before['rss_kib']} before, {', '.join(means)} on average in the quarters of the run, "
                                 f"peak {after['peak_kib']}, {after['rss_kib']} after all left"),
        # A single step makes a slope of the half that holds it, growth makes one of each quarter.
        ("its slope in the quarters, KiB/h", ", ".join(f"{one.per_x:+.0f} ± {one.error:.0f}" for one in slopes)),
        ("residuals of the slope", f"correlation of neighbours {slope.correlation:.2f}, by which the error is widened"),
        ("descriptors", f"{before['descriptors']} before, at most {max(one['descriptors'] for one in under_load)}, {after['descriptors']} after"),
        ("CPU of the engine", f"{100 * (last['cpu_s'] - first['cpu_s']) / wall:.1f} % of one"),
        ("Redis stopped", f"{len(outages)} times ({', '.join(sorted({'SIG' + one['redis'] for one in outages})) or 'never'})"),
        ("published", f"{published.get('published')}, and {published.get('unpublished')} due while Redis was away"),
        ("values offered to clients", f"{sum(shard['offered'] for shard in after['ledger'].values())}, of which "
                                      + ", ".join(f"{sum(shard[part] for shard in after['ledger'].values())} {part}" for part in PARTS[:5])),
        ("slow clients", f"{len(rounds)} rounds; {sum(one['pairsFinal'] for one in final)} of "
                         f"{sum(one['pairsFinal'] + one['pairsNotFinal'] for one in final)} pairs (client, symbol) ended on the newest value"),
        ("connections ended, by reason", ", ".join(f"{name} {count}" for name, count in sorted(closes.items()) if count)),
    ]
    if of_load:
        latency = of_load[0]["load"]["latency"]
        beside.append(("loadgen's own trouble", "; ".join(of_load[0]["spoilers"]) or "none"))
        beside.append(("latency, not judged", f"p50 {latency['p50Us'] / 1e3:.1f} ms, p99 {latency['p99Us'] / 1e3:.1f} ms"))
    points = {
        "halfS": round(span_s),
        "slopeKibPerHour": round(slope.per_x, 1),
        "slopeErrorKibPerHour": round(slope.error, 1),
        "samples": {key: [one[key] for one in under_load] for key in ("at_s", "rss_kib", "descriptors", "cpu_s")}
        | {"connections": [sum(one["connections"].values()) for one in under_load]},
    }
    return judged, beside, points


def compact(text):
    """Lists of numbers on one line."""
    return re.sub(r"\[[\d\s.,]+\]", lambda found: re.sub(r"\s+", "", found[0]).replace(",", ", "), text)


def report(path):
    lines = [json.loads(row) for row in Path(path).read_text().splitlines() if row]
    known = next(one["facts"] for one in lines if "facts" in one)
    judged, beside, points = judge(lines)
    verdict = {0: "nothing grew, leaked or got lost", 1: "MISSED", 3: "no verdict"}[judged.exit_code]
    niced = f", niceness {known['nice']}" if known["nice"] else ""
    text = [
        f"# Soak, {known['date']}: {verdict}", "",
        f"`{known['command']}` at commit {known['commit']}; {known['machine']}{niced}", "",
        "| what | wanted | measured | |", "|---|---|---|---|",
        *(f"| {' | '.join(map(str, row))} |" for row in judged.rows), "",
        "| beside it | |", "|---|---|",
        *(f"| {name} | {value} |" for name, value in beside),
    ]
    print("\n".join(text))
    # What can't say anything of the slope is no result to keep.
    directory = Path("perf/results" if points["halfS"] >= SPAN_MIN_S else "perf/out/soak")
    prefix = directory / f"{known['date']}-soak"
    table = [dict(zip(("what", "wanted", "measured", "outcome"), row)) for row in judged.rows]
    kept = {"facts": known, "judged": table, "beside": dict(beside), "exitCode": judged.exit_code, **points}
    prefix.with_suffix(".md").write_text("\n".join(text) + "\n")
    prefix.with_suffix(".json").write_text(compact(json.dumps(kept, indent=1, ensure_ascii=False)) + "\n")
    print(f"\n{prefix}.md")
    return judged.exit_code


def check():
    near = lambda a, b: abs(a - b) < 1e-9
    # A line is its own slope, without error; what does not move has none.
    assert regress([0, 1, 2, 3], [5, 7, 9, 11]) == Slope(2.0, 0.0, 0.0)
    assert regress([0, 1, 2], [4, 4, 4]) == Slope(0.0, 0.0, 0.0)
    # By hand: slope 0.6, residuals -0.2 0.2 0.2 -0.2 … of (0,1) (1,2) (2,2) (3,3): squares 0.2, spread 5.
    found = regress([0, 1, 2, 3], [1, 2, 2, 3])
    assert near(found.per_x, 0.6) and near(found.error, sqrt(0.2 / 2 / 5)), found
    # The same points twice as often, neighbours alike: more points, but not the smaller error of independent ones.
    level = [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]
    alternating = [0, 1] * 6
    assert regress(range(12), level).error > regress(range(12), alternating).error
    # Half an hour of samples every ten seconds: 300 KiB an hour are found under noise of ±32 KiB that hangs together for
    # a minute; the noise alone is no growth.
    hours = [n / 360 for n in range(180)]
    noise = [32 * ((n // 6 * 7919) % 13 - 6) / 6 for n in range(180)]
    assert not is_growth(regress(hours, noise)), regress(hours, noise)
    assert is_growth(regress(hours, [300 * x + y for x, y in zip(hours, noise)])), regress(hours, noise)
    ledger = dict(offered=10, sent=4, skipped=1, throttled=1, dropped=1, cancelled=1, queued=1, in_flight=1)
    samples = [{"ledger": {"0": ledger, "1": {**ledger, "sent": 3}}}]
    assert unbalanced(samples) == (1, 2)
    print("ok  the arithmetic of perf/soak")


if __name__ == "__main__":
    verbs = {"facts": facts, "sample": sample, "slow": slow, "load": load, "log": log, "report": report, "check": check}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    sys.exit(verbs[sys.argv[1]](*sys.argv[2:]))
