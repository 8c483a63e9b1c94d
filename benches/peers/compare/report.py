"""Medians over the rounds, as a table for the terminal, and as Markdown, JSON and a chart."""

import datetime
import json
import platform
import shlex
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from itertools import zip_longest

import chart
import runs
import servers
import work

METHOD = """\
- One server at a time, one process, pinned to CPU 0; Redis and `loadgen` on CPU 1. Rounds are interleaved: each round \
runs every server once, every other round in reverse order. Figures are medians over the rounds, with the smallest and largest.
- All take the same publications from the same Redis, and send each client what it subscribed to with a counter per symbol.
- **Busy** is the time that the server's CPU was not idle in `loadgen`'s window (/proc/stat: wall time less idle and \
waiting time, measured on kernels that stop the tick of an idle CPU), less what it was busy with anyway, measured before clients came. It holds what no thread is charged with, such as interrupts. **Threads** is the run time of the server's threads. Both per value that arrived.
- A run during which something else ran on CPU 0 is made again, up to twice; if that does not help its busy time is left out.
- **× floor** is that time per value relative to a bare loop of the same round, which does nothing else. It is `floor-send` where \
values come one by one (one thread that reads Redis and calls send() once per value and client), `floor-coalesce` where more of \
them come than there is time for (one send() per client for all that one read brought), and `floor-answer` where clients ask.
- What a peer was given to be fast, and what it does with slow clients, stands at the top of its source in `benches/peers/`.
"""


@dataclass(frozen=True)
class Column:
    title: str
    value: object  # (run, the results, the same round's run of the floor) -> a number or None
    form: str
    spread: bool = True


def busy_us(run, results, _):
    """Busy time per value, without what the CPU is busy with anyway."""
    if run.cpu is None or run.is_shared:
        return None
    return run.us_per_value(run.cpu["busyS"] - results.baseline() * run.cpu["spanS"])


def threads_us(run, *_):
    return run.cpu and run.us_per_value(run.cpu["threadsS"])


def times_floor(cost):
    def value(run, results, floor):
        mine, its = cost(run, results, None), floor and cost(floor, results, None)
        return mine / its if mine and its else None

    return value


def scaled(factor, *path):
    def value(run, *_):
        raw = run.get(*path)
        return raw * factor if raw is not None else None

    return value


BUSY_RATIO = Column("× floor", times_floor(busy_us), "{:.2f}")
THREADS_RATIO = Column("× floor", times_floor(threads_us), "{:.2f}")
CPU = (
    Column("busy, µs/value", busy_us, "{:.2f}"),
    BUSY_RATIO,
    Column("threads, µs/value", threads_us, "{:.2f}"),
    THREADS_RATIO,
)
P50 = Column("p50, ms", scaled(1e-3, "latency", "p50Us"), "{:.2f}", False)
P99 = Column("p99, ms", scaled(1e-3, "latency", "p99Us"), "{:.2f}")
DELIVERED = Column("delivered, %", scaled(1, "delivery", "deliveredPercent"), "{:.3f}", False)

COLUMNS = {
    "steady": (*CPU, P50, P99, DELIVERED),
    "saturate": (Column("values/s", scaled(1, "throughput", "valuesPerSecond"), "{:,.0f}"), *CPU, DELIVERED),
    "wide": (
        *CPU,
        P50,
        P99,
        Column("longest, ms", scaled(1e-3, "latency", "maxUs"), "{:.2f}"),
        DELIVERED,
    ),
    "idle": (Column("bytes/connection", scaled(1, "server", "bytesPerConnection"), "{:,.0f}"),),
    "asked": (Column("answers/s", scaled(1, "throughput", "valuesPerSecond"), "{:,.0f}"), *CPU, P50, P99),
    "slow": (
        Column("p99 of the healthy, ms", P99.value, "{:.2f}"),
        Column("delivered to the healthy, %", DELIVERED.value, "{:.3f}", False),
        Column("slow clients lost", scaled(1, "slow", "connections", "lost"), "{:.0f}", False),
    ),
}


def columns_of(task):
    """A work without columns of its own has those of the work that it is a variant of."""
    if task in COLUMNS:
        return COLUMNS[task]
    if task.startswith("saturate"):
        return COLUMNS["saturate"]
    if not work.ALL[task].scenario:
        return COLUMNS["asked"]
    return COLUMNS["steady"]


class Results:
    def __init__(self, options, root):
        self.options, self.root = options, root
        self.skipped = {}
        self.versions = {}
        self.runs = []

    def add(self, run):
        self.runs.append(run)

    def of(self, task, server):
        return [run for run in self.runs if (run.work, run.server) == (task, server)]

    def figures(self, task, server, column):
        """The column's values in the order of the rounds, without those that there is no value of."""
        mine, floors = self.of(task, server), self.of(task, work.ALL[task].floor)
        values = [column.value(run, self, floor) for run, floor in zip_longest(mine, floors) if run]
        return [value for value in values if value is not None]

    def baseline(self):
        """Seconds per second that the CPU is busy with anyway: median of all that was seen of it before load came."""
        before = [run.cpu["before"] for run in self.runs if run.cpu]
        calm = [span["foreignS"] / span["spanS"] for span in before if not runs.is_foreign(span)]
        return statistics.median(calm) if calm else 0

    def tables(self):
        """Per work its title, header and rows."""
        remarks = []
        for task in self.options.work:
            takes = [name for name in self.options.only if work.ALL[task].takes(servers.ALL[name])]
            rows = [self.row(task, name, remarks) for name in takes]
            header = ["", *(column.title for column in columns_of(task))]
            yield f"{task}: {work.ALL[task].scope(self.options)}", header, rows
        notes = [[mark, note] for mark, note in remarks]
        if notes:
            yield "Remarks", ["", ""], notes

    def row(self, task, name, remarks):
        columns = columns_of(task)
        if name in self.skipped:
            return [name, f"not run: {self.skipped[name]}", *[""] * (len(columns) - 1)]
        marks = ""
        for index, run in enumerate(self.of(task, name)):
            if run.remark:
                mark = f"[{len(remarks) + 1}]"
                remarks.append((mark, f"{name}, {task}, round {index + 1}: {' '.join(run.remark.split())}"))
                marks += mark
        cells = [cell(column, self.figures(task, name, column)) for column in columns]
        return [f"{name} {marks}".strip(), *cells]

    def text(self):
        lines = []
        for title, header, rows in self.tables():
            widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
            if title == "Remarks" or any(row[1].startswith("not run") for row in rows):
                widths[1] = len(header[1])
            lines += ["", title]
            for row in [header, *rows] if title != "Remarks" else rows:
                first, *others = (text.ljust(width) for text, width in zip(row, widths))
                lines.append("  ".join([first, *others]).rstrip())
        return "\n".join(lines)

    def write(self, prefix):
        """Writes the three files; their paths."""
        prefix.parent.mkdir(parents=True, exist_ok=True)
        facts = self.facts()
        drawn = self.chart()
        paths = {ending: prefix.with_name(f"{prefix.name}.{ending}") for ending in ("md", "svg", "json")}
        if drawn:
            paths["svg"].write_text(drawn)
        else:
            del paths["svg"]
        paths["md"].write_text(self.markdown(facts, paths.get("svg")))
        paths["json"].write_text(self.json(facts))
        return list(paths.values())

    def chart(self):
        """Bars of busy time; of threads' time where something else ran on the CPU all the time."""
        panels = []
        for task in (task for task in ("steady", "saturate") if task in self.options.work):
            for ratio, measure in ((BUSY_RATIO, "busy time of the CPU"), (THREADS_RATIO, "run time of threads")):
                spreads = {name: self.figures(task, name, ratio) for name in self.options.only}
                measured = {name for name in self.options.only if self.of(task, name) and name not in self.skipped}
                if any(spreads.values()) and (ratio is THREADS_RATIO or all(map(spreads.get, measured))):
                    break
            bars = [
                chart.Bar(name, servers.ALL[name].kind, statistics.median(values), min(values), max(values))
                for name, values in spreads.items()
                if values
            ]
            if bars:
                panels.append(chart.Panel(f"{task}: {work.ALL[task].scope(self.options)} ({measure})", bars))
        return chart.draw("CPU per delivered value, relative to a bare send() loop", panels) if panels else None

    def markdown(self, facts, svg):
        lines = [f"# Comparison of {facts['date']}", ""]
        lines += [f"`{facts['command']}` at commit {facts['commit']}", ""]
        lines += [f"{facts['machine']}; {facts['kernel']}; {facts['redis']}", ""]
        if svg:
            lines += [f"![CPU per delivered value]({svg.name})", ""]
        for title, header, rows in self.tables():
            lines += [f"## {title}", ""]
            lines += ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
            lines += ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
            lines.append("")
        lines += ["## Method", "", METHOD, "## What ran", "", "| | | |", "|---|---|---|"]
        for name in self.options.only:
            lines.append(f"| {name} | {servers.ALL[name].about} | {facts['versions'].get(name, '')} |")
        return "\n".join(lines) + "\n"

    def json(self, facts):
        """Every run, one a line, with the parts of loadgen's report that the tables are made of."""
        kept = ("window", "connections", "delivery", "account", "latency", "throughput", "server", "slow", "verdict")
        lines = []
        for run in self.runs:
            entry = asdict(run) | {"remark": run.remark}
            entry["report"] = {key: run.report[key] for key in kept if key in run.report} if run.report else None
            lines.append(json.dumps(entry))
        head = json.dumps({"facts": facts, "skipped": self.skipped, "baselineBusyPerS": self.baseline()}, indent=1)
        text = head[:-2] + ',\n "runs": [\n' + ",\n".join(lines) + "\n]}\n"
        # Where the sources lie on this machine is nobody's business.
        return text.replace(f"{self.root}/", "")

    def facts(self):
        def say(*command):
            done = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
            return done.stdout.strip()

        commit = say("git", "rev-parse", "--short", "HEAD")
        if say("git", "status", "--porcelain", "--untracked-files=no"):
            commit += " with changes that are not committed"
        with open("/proc/cpuinfo") as cpuinfo:
            models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
        return {
            "date": datetime.date.today().isoformat(),
            "command": shlex.join(["scripts/compare", *sys.argv[1:]]),
            "commit": commit,
            "machine": f"{len(models)} × {models[0] if models else platform.machine()}",
            "kernel": f"Linux {platform.release()}",
            "redis": " ".join(say("redis-server", "--version").split()[:3]),
            "versions": self.versions,
        }


def cell(column, values):
    if not values:
        return "–"
    median = column.form.format(statistics.median(values))
    if not column.spread or len(values) < 2:
        return median
    return f"{median} ({column.form.format(min(values))} … {column.form.format(max(values))})"
