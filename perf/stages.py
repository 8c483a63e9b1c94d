"""Table and chart of perf/stages, from a report of loadgen and scrapes of the engine's metrics (files named by their time).

    python3 perf/stages.py REPORT SCRAPES SVG TITLE
"""

import json
import re
import sys
from dataclasses import dataclass
from html import escape
from math import log10
from pathlib import Path

SAMPLE = re.compile(r"^(\w+?)(?:\{(.*)\})? (\S+)$")


@dataclass(frozen=True)
class Stage:
    name: str
    source: str
    mean_us: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    # Means by difference come from two distributions; there is no percentile of that.
    by_difference: bool = False


class Failed(Exception):
    pass


def scrape(path):
    """Sums over the shards: name and `le` of a bucket, or name alone."""
    sums = {}
    for line in path.read_text().splitlines():
        if match := SAMPLE.match(line):
            bound = re.search(r'le="([^"]*)"', match[2] or "")
            key = (match[1], float(bound[1].replace("+Inf", "inf"))) if bound else match[1]
            sums[key] = sums.get(key, 0) + float(match[3])
    return sums


def growth_in_window(directory, window):
    """What was counted between the first and the last scrape of the measuring window."""
    at_us = sorted(int(path.name) for path in directory.iterdir() if path.stat().st_size)
    inside = [at for at in at_us if window["startUs"] <= at <= window["endUs"]]
    if len(inside) < 2:
        raise Failed("fewer than two scrapes lie in the measuring window; take more --seconds")
    first, last = scrape(directory / str(inside[0])), scrape(directory / str(inside[-1]))
    return {key: value - first.get(key, 0) for key, value in last.items()}


def measured_by_engine(name, source, growth, metric):
    count = growth.get(f"{metric}_count", 0)
    if not count:
        return Stage(name, "not measured")
    buckets = sorted((key[1], count) for key, count in growth.items() if key[0] == f"{metric}_bucket" and isinstance(key, tuple))
    return Stage(name, source, growth[f"{metric}_sum"] / count * 1e6, percentile(buckets, 0.5), percentile(buckets, 0.99))


def percentile(buckets, share):
    """In microseconds, straight between the bounds of its bucket, which are a factor of 2 to 2.5 apart."""
    wanted, below_s, below_count = buckets[-1][1] * share, 0.0, 0
    for bound_s, count in buckets:
        if count >= wanted:
            if bound_s == float("inf"):
                return below_s * 1e6
            return (below_s + (bound_s - below_s) * (wanted - below_count) / max(count - below_count, 1)) * 1e6
        below_s, below_count = bound_s, count
    return below_s * 1e6


def measured_by_loadgen(name, source, times):
    if not times or not times["samples"]:
        return Stage(name, "not measured")
    return Stage(name, source, times["meanUs"], times["p50Us"], times["p99Us"])


def difference(name, source, whole, *parts):
    if any(stage.mean_us is None for stage in (whole, *parts)):
        return Stage(name, "not measured")
    return Stage(name, source, whole.mean_us - sum(part.mean_us for part in parts), by_difference=True)


def stages_of(report, growth):
    publisher = report["publisher"] or {}
    total = measured_by_loadgen("intended → received", "loadgen: latency", report["latency"])
    late = measured_by_loadgen("intended → handed to Redis", "loadgen: lateness", publisher.get("lateness"))
    if report["latencyMethod"] == "fromSent":
        # A closed loop has no intended times.
        total = measured_by_loadgen("handed to Redis → received", "loadgen: latency", report["latency"])
        late = Stage("intended → handed to Redis", "none in a closed loop", 0.0)
    redis = measured_by_loadgen("handed to Redis → ingest", "loadgen: Redis's answer, see below", publisher.get("roundTrip"))
    submit = measured_by_engine("ingest → submitted", "engine: ingest_to_submit", growth, "tickwire_ingest_to_submit_seconds")
    sent = measured_by_engine("ingest → sent", "engine: ingest_to_sent", growth, "tickwire_ingest_to_sent_seconds")
    turn = measured_by_engine("length of a turn", "engine: turn", growth, "tickwire_turn_seconds")
    chain = [
        late,
        redis,
        submit,
        difference("submitted → sent", "difference of the engine's two", sent, submit),
        difference("sent → received", "what remains", total, late, redis, sent),
    ]
    return chain, total, sent, turn


def table(chain, total, sent, turn, growth):
    def times(stage):
        return "".join(f"{'–' if us is None else f'{us / 1000:.3f}':>10}" for us in (stage.mean_us, stage.p50_us, stage.p99_us))

    yield f"{'stage':<32}{'mean, ms':>10}{'p50, ms':>10}{'p99, ms':>10}  source"
    for stage in chain:
        yield f"{stage.name:<32}{times(stage)}  {stage.source}"
        if stage.name == "ingest → submitted":
            # Their histograms would be the shard's: receipt until the value is taken in, and from there to the submission.
            yield f"{'  of it in the mailbox':<32}{times(Stage('', ''))}  not measured"
            yield f"{'  of it in the turn':<32}{times(Stage('', ''))}  not measured; how long turns are, see below"
    yield f"{total.name:<32}{times(total)}  {total.source}"
    yield ""
    yield f"{sent.name:<32}{times(sent)}  {sent.source}"
    yield f"{turn.name:<32}{times(turn)}  {turn.source}"
    yield ""
    yield "Means add up; percentiles do not: the slowest of one stage are not the slowest of the next. A mean by difference"
    yield "has no percentiles. Those of the engine lie between bucket bounds a factor of 2 to 2.5 apart."
    yield "Redis answers the publisher in the turn in which it hands the value to the engine: its answer stands for the way there."
    values, sends = growth.get("tickwire_ledger_sent_total", 0), growth.get("tickwire_sends_total", 0)
    if sends:
        yield f"The engine measures a send by its oldest value; a send carried {values / sends:.2f} values."
        if values > 1.5 * sends:
            yield "So its stages are longer than those of a mean value, and what remains is shorter by as much."
    rest = chain[-1].mean_us
    if rest is not None and rest < 0:
        yield "What remains is negative: clients have a value before the call that sends it to up to 256 of them returns, and see above."


STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; font-variant-numeric: tabular-nums }
.title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 } .tick { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0 } .back { fill: #ffffff } .part { fill: #0969da } .rest { fill: #afb8c1 } .whole { fill: #e0823d }
.span { stroke: #0969da; stroke-width: 2 } .p99 { fill: #e0823d }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .tick { fill: #9198a1 } .grid { stroke: #3d444d } .back { fill: #0d1117 }
  .part { fill: #4493f8 } .rest { fill: #656c76 } .whole, .p99 { fill: #db8d4d } .span { stroke: #4493f8 }
}
"""
WIDTH, LEFT, RIGHT, ROW = 820, 210, 110, 26


def chart(title, chain, total, sent, turn):
    known = [stage for stage in chain if stage.mean_us is not None]
    summary = "; ".join(f"{stage.name} {stage.mean_us / 1000:.3f} ms" for stage in (*known, total) if stage.mean_us is not None)
    body, top = list(waterfall(known, total)), 84 + ROW * (len(known) + 1) + 44
    spans = [stage for stage in (*chain, sent, total, turn) if stage.p50_us and stage.p99_us]
    body += percentile_spans(spans, top)
    height = top + 20 + ROW * len(spans) + 44
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{escape(title)}: {escape(summary)}"><style>{STYLE}</style><rect class="back" width="{WIDTH}" height="{height}"/>'
        f'<text class="title" x="16" y="28">{escape(title)}</text>{"".join(body)}</svg>\n'
    )


def label(y, text):
    return f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end">{escape(text)}</text>'


def waterfall(known, total):
    """Each mean begins where the one before ends; what is negative goes back."""
    rows, at = [], 0.0
    for stage in known:
        rows.append((stage.name, at, at + stage.mean_us, "rest" if stage.by_difference else "part"))
        at += stage.mean_us
    if total.mean_us is not None:
        rows.append((total.name, 0.0, total.mean_us, "whole"))
    most = max([1.0, *(max(begin, end) for _, begin, end, _ in rows)])
    x = lambda us: round(LEFT + us * (WIDTH - LEFT - RIGHT) / most, 1)
    yield '<text class="panel" x="16" y="58">means, which add up (grey: by difference)</text>'
    for index, (name, begin, end, kind) in enumerate(rows):
        y = 68 + ROW * index
        left, right = sorted((x(begin), x(end)))
        yield label(y, name)
        yield f'<rect class="{kind}" x="{left}" y="{y + 5}" width="{max(right - left, 1):.1f}" height="16" rx="2"/>'
        yield f'<text x="{right + 7}" y="{y + 17}">{(end - begin) / 1000:.3f} ms</text>'


def percentile_spans(spans, top):
    if not spans:
        return
    low, high = log10(min(stage.p50_us for stage in spans)), log10(max(stage.p99_us for stage in spans))
    low, high = int(low // 1), int(high // 1) + 1
    x = lambda us: round(LEFT + (log10(max(us, 10**low)) - low) * (WIDTH - LEFT - RIGHT) / (high - low), 1)
    bottom = top + 12 + ROW * len(spans)
    yield f'<text class="panel" x="16" y="{top}">p50 to p99 of what is measured by itself; these do not add up</text>'
    for power in range(low, high + 1):
        yield f'<line class="grid" x1="{x(10**power)}" y1="{top + 10}" x2="{x(10**power)}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{x(10**power)}" y="{bottom + 16}" text-anchor="middle">{10**power / 1000:g} ms</text>'
    for index, stage in enumerate(spans):
        y = top + 10 + ROW * index
        yield label(y, stage.name)
        yield f'<path class="span" d="M{x(stage.p50_us)} {y + 13}H{x(stage.p99_us)}"/><circle class="part" cx="{x(stage.p50_us)}" cy="{y + 13}" r="4"/>'
        yield f'<circle class="p99" cx="{x(stage.p99_us)}" cy="{y + 13}" r="4"/><text x="{x(stage.p99_us) + 9}" y="{y + 17}">{stage.p99_us / 1000:.2f} ms</text>'


def main():
    report_path, scrapes, svg, scenario = sys.argv[1:]
    report = json.loads(Path(report_path).read_text())
    try:
        growth = growth_in_window(Path(scrapes), report["window"])
    except Failed as reason:
        sys.exit(str(reason))
    plan = report["plan"]
    title = f"{scenario}: {plan['connections']} clients, {plan['ratePerSecond'] or 'as many as possible'} updates/s"
    parts = stages_of(report, growth)
    print(f"{title}, {report['window']['measuredMs'] / 1000:.0f} s, {report['delivery']['deliveredPercent']} % delivered\n")
    print("\n".join(table(*parts, growth)))
    Path(svg).write_text(chart(title, *parts))


main()
