"""CPU per delivery along five axes. Started by `perf/growth`, with the modules of `scripts/compare`."""

import argparse
import datetime
import json
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import chart
import install
import report
import runs
import servers
from processes import Failed, Processes
from work import Work

# So many deliveries per second at each point, but where a series says otherwise: 20 % of a core here.
DELIVERIES_PER_S = 50_000


@dataclass(frozen=True)
class Point:
    """Clients that each want some symbols, and what is published."""

    label: str
    clients: int = 1000
    symbols: int = 50
    own_symbols: int = 0  # Each client has so many of the symbols, drawn by its number; 0: all of them.
    payload_bytes: int = 200
    burst: int = 1
    deliveries_per_s: int = DELIVERIES_PER_S

    @property
    def rate(self):
        share = self.own_symbols / self.symbols if self.own_symbols else 1
        return max(round(self.deliveries_per_s / (self.clients * share)), 1)

    def work(self, series):
        flags = ["--connections", self.clients, "--symbols", self.symbols, "--rate", self.rate]
        flags += ["--payload-bytes", self.payload_bytes, "--burst", self.burst]
        if self.own_symbols:
            flags += ["--symbols-per-client", self.own_symbols, "--zipf", 0]
        scenario = "mixed" if self.own_symbols else "steady"
        return Work(f"{series}-{self.label}", "", lambda *_: flags, scenario, self.clients, charges_cpu=True)


BASE = Point("base")

SERIES = {
    "clients": ("clients, the same deliveries per second", [Point(str(n), clients=n) for n in (10, 100, 1000, 5000, 9000)]),
    "symbols": ("symbols that all of them want", [Point(str(n), symbols=n) for n in (1, 50, 500, 2000)]),
    "sets": (
        "sets of their own, of 1000 symbols",
        [Point(f"{n} each", symbols=1000, own_symbols=n) for n in (10, 100, 500)],
    ),
    "payload": ("bytes of a payload", [Point(str(n), payload_bytes=n) for n in (100, 200, 1000, 4000, 16000)]),
    "batch": (
        "updates that come together, 320 000 deliveries per second",
        [Point(str(n), burst=n, deliveries_per_s=320_000) for n in (1, 2, 4, 8, 16, 32)],
    ),
    # Not what the model in capacity.md is fitted to: it is held against these.
    "check": (
        "what the capacity model did not see",
        [
            Point("700 clients of 20 symbols, 600 bytes, 4 at once", 700, 20, payload_bytes=600, burst=4, deliveries_per_s=120_000),
            Point("2500 clients of their own 5 of 200, 1500 bytes", 2500, 200, own_symbols=5, payload_bytes=1500, deliveries_per_s=60_000),
        ],
    ),
}


def arguments():
    parser = argparse.ArgumentParser(prog="perf/growth", description="CPU per delivery along five axes.")
    parser.add_argument("--rounds", type=int, default=2, help="of all points [2]")
    parser.add_argument("--seconds", type=int, default=4, help="measured at each point [4]")
    parser.add_argument("--only", default=",".join(SERIES), metavar="A,B,…", help=f"series out of {','.join(SERIES)}")
    parser.add_argument("--no-build", action="store_true", help="take the release binaries as they are")
    parser.add_argument("--output", type=Path, help="where to, without ending [perf/results/DATE-growth]")
    options = parser.parse_args()
    options.series = options.only.split(",")
    if unknown := [name for name in options.series if name not in SERIES]:
        parser.exit(2, f"growth: {', '.join(unknown)} is no series; choose from {','.join(SERIES)}\n")
    options.only, options.work = ["engine"], []
    return options


def main():
    options = arguments()
    root = Path(__file__).resolve().parents[1]
    results = report.Results(options, root)
    points = [("base", BASE), *((name, point) for name in options.series for point in SERIES[name][1])]
    with Processes(root / "perf/out/growth") as processes:
        kit = install.prepare(root, options, results.skipped)
        os.sched_setaffinity(0, {runs.LOAD_CPU})
        redis_url = processes.start_redis()
        for index in range(options.rounds):
            for series, point in points if index % 2 == 0 else points[::-1]:
                run = runs.run(point.work(series), servers.ALL["engine"], kit, processes, redis_url, options)
                results.add(run)
                print(f"round {index + 1}  {run.line()}", file=sys.stderr, flush=True)
    prefix = options.output or root / f"perf/results/{datetime.date.today()}-growth"
    for path in write(prefix, options, results):
        print(path)


def costs(results, series, point):
    """Busy time per delivery of each round, microseconds; threads' time where the CPU was shared."""
    of_point = results.of(f"{series}-{point.label}", "engine")
    busy = [report.busy_us(run, results, None) for run in of_point]
    return [value if value else report.threads_us(run) for value, run in zip(busy, of_point) if run.values]


def write(prefix, options, results):
    facts = results.facts() | {"command": " ".join(["perf/growth", *sys.argv[1:]])}
    base = statistics.median(costs(results, "base", BASE))
    lines = [f"# How CPU per delivery grows, {facts['date']}", "", f"`{facts['command']}` at commit {facts['commit']}", ""]
    lines += [f"{facts['machine']}; {facts['kernel']}; {facts['redis']}", ""]
    lines += [f"![CPU per delivery]({prefix.name}.svg)", ""]
    lines += [
        f"Busy time of the engine's CPU per delivered value, less what the CPU is busy with anyway; medians of {options.rounds} rounds "
        f"of {options.seconds} s with the smallest and largest. The base is 1000 clients that want the same 50 symbols, "
        f"{BASE.rate} updates/s of 200 bytes, one at a time: {base:.2f} µs a delivery. Each series changes one thing.",
        "",
    ]
    panels = []
    for name in options.series:
        title, points = SERIES[name]
        lines += [f"## {name}: {title}", "", "| | updates/s | µs per delivery | × base | p99, ms | delivered, % |", "|---|---|---|---|---|---|"]
        bars = []
        for point in points:
            values = costs(results, name, point)
            if not values:
                lines.append(f"| {point.label} | {point.rate} | – | – | – | – |")
                continue
            of_point = results.of(f"{name}-{point.label}", "engine")
            p99 = statistics.median(run.get("latency", "p99Us") for run in of_point) / 1e3
            delivered = min(run.delivered_percent for run in of_point)
            median = statistics.median(values)
            bars.append(chart.Bar(point.label, "engine", median / base, min(values) / base, max(values) / base))
            spread = f"{median:.2f} ({min(values):.2f} … {max(values):.2f})"
            lines.append(f"| {point.label} | {point.rate} | {spread} | {median / base:.2f} | {p99:.1f} | {delivered:.3f} |")
        lines.append("")
        if name != "check":
            panels.append(chart.Panel(f"{name}: {title}", bars))
    for remark in dict.fromkeys(f"{run.work}: {run.remark}" for run in results.runs if run.remark):
        lines.append(f"* {remark}")
    kept = [{"point": run.work, "cpu": run.cpu, "values": run.values, "report": {"latency": run.get("latency")}} for run in results.runs]
    paths = {ending: prefix.with_name(f"{prefix.name}.{ending}") for ending in ("md", "svg", "json")}
    paths["md"].write_text("\n".join(lines).rstrip() + "\n")
    paths["svg"].write_text(chart.draw("CPU per delivery, relative to the base", panels))
    paths["json"].write_text(json.dumps({"facts": facts, "runs": kept}, indent=1).replace(f"{results.root}/", "") + "\n")
    return paths.values()


if __name__ == "__main__":
    try:
        main()
    except (Failed, KeyboardInterrupt) as failure:
        sys.exit(f"growth: {failure or 'interrupted'}")
