"""One run of a work on a server: what it did, and what it cost."""

import json
import time
from dataclasses import dataclass

from cpu import Sampler
from processes import Failed
from work import CALLED_SYMBOLS

SERVER_CPU, LOAD_CPU = 0, 1

# Long enough that the 10 ms of /proc/stat are half a percent of it.
BASELINE_S = 2

# Of a second, and of what the server's threads ran in it: interrupts, kernel threads, and the 10 ms of /proc/stat.
FOREIGN_MAX, FOREIGN_SHARE_MAX = 0.015, 0.05

# How often a run is made again because something else ran on the server's CPU.
REPEATS_MAX = 2


@dataclass
class Run:
    """One run: what loadgen reports, and what it cost the server. Without a report, `failure` says why."""

    work: str
    server: str
    exit_code: int = None
    failure: str = None
    report: dict = None
    cpu: dict = None

    def get(self, *path):
        value = self.report
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    @property
    def delivered_percent(self):
        return self.get("delivery", "deliveredPercent")

    @property
    def values(self):
        """Values that arrived while the window was open."""
        rate, measured_ms = self.get("throughput", "valuesPerSecond"), self.get("window", "measuredMs")
        return rate * measured_ms / 1000 if rate and measured_ms else None

    def us_per_value(self, seconds):
        return seconds * 1e6 / self.values if self.values and seconds is not None else None

    @property
    def remark(self):
        """Why loadgen's exit code is not 0; `None` when it is."""
        if self.failure:
            return self.failure
        remarks = [self.verdict_remark, self.shared_remark]
        return "; ".join(filter(None, remarks)) or None

    @property
    def is_shared(self):
        """Something else ran on the server's CPU: its busy time says nothing of the server."""
        return self.cpu is not None and is_foreign(self.cpu)

    @property
    def shared_remark(self):
        if not self.is_shared:
            return None
        foreign = self.cpu["foreignS"] / self.cpu["spanS"]
        return f"something else ran on CPU {SERVER_CPU} for {foreign:.0%} of the time, so busy time is left out"

    @property
    def verdict_remark(self):
        if self.exit_code == 0:
            return None
        reasons = list(self.get("verdict", "spoilers") or [])
        for judgement in self.get("verdict", "judgements") or []:
            if isinstance(judgement["outcome"], dict):
                reasons.append(f"{judgement['target']} not judged: {', '.join(judgement['outcome'].values())}")
            elif judgement["outcome"] != "met":
                reasons.append(f"{judgement['target']} {judgement['measured']} (wanted {judgement['wanted']})")
        return f"loadgen's exit code {self.exit_code}: {'; '.join(map(str, reasons)) or 'see its log'}"

    def line(self):
        parts = [f"{self.work:<14}{self.server:<18}"]
        if self.cpu and self.values:
            parts.append(f"{self.us_per_value(self.cpu['busyS']):6.2f} us/value of raw busy time")
        if (rate := self.get("throughput", "valuesPerSecond")):
            parts.append(f"{rate:9.0f} values/s")
        if (p99 := self.get("latency", "p99Us")):
            parts.append(f"p99 {p99 / 1000:8.2f} ms")
        if self.delivered_percent is not None:
            parts.append(f"{self.delivered_percent:.3f} % delivered")
        if (held := self.get("server", "bytesPerConnection")):
            parts.append(f"{held:.0f} bytes/connection")
        return "  ".join([*parts, *([self.remark] if self.remark else [])])


def is_foreign(cpu):
    return cpu["foreignS"] > FOREIGN_MAX * cpu["spanS"] + FOREIGN_SHARE_MAX * cpu["threadsS"]


def run(work, server, kit, processes, redis_url, options):
    """One run; made again where something else ran on the server's CPU. Of all the one where that was least."""
    outcomes = []
    while len(outcomes) <= REPEATS_MAX:
        outcome = run_once(work, server, kit, processes, redis_url, options)
        outcomes.append(outcome)
        if not outcome.is_shared:
            return outcome
    return min(outcomes, key=lambda outcome: outcome.cpu["foreignS"])


def run_once(work, server, kit, processes, redis_url, options):
    """Starts the server, puts the work on it, and ends it."""
    outcome = Run(work.name, server.name)
    process = None
    try:
        process, address = processes.start_server(
            f"{work.name}-{server.name}", server.invocation(kit, redis_url), SERVER_CPU, server.subscribes
        )
        with Sampler(process.pid, SERVER_CPU) as sampler:
            baseline_start = None
            if work.charges_cpu:
                # What starting costs is over when this begins.
                time.sleep(1)
                baseline_start = time.time()
                time.sleep(BASELINE_S)
            load(outcome, work, server, address, process, kit, processes, redis_url, options)
            outcome.cpu = charge(outcome, sampler, baseline_start)
        if process.poll() is not None:
            outcome.failure = f"the server ended with {process.returncode}; its log is {process.log}"
    except Failed as failure:
        outcome.failure = str(failure)
    finally:
        if process:
            processes.end(process)
    return outcome


def load(outcome, work, server, address, served, kit, processes, redis_url, options):
    program = "loadgen" if work.scenario else "caller"
    name = f"{work.name}-{server.name}-{program}"
    path = processes.directory / f"{name}.json"
    path.unlink(missing_ok=True)
    if work.scenario:
        command = [kit.bin / program, "run", work.scenario, "--url", server.url(address), *server.dialect]
        command += ["--duration", f"{options.seconds}s"]
        if work.needs_redis:
            command += ["--publish", redis_url]
    else:
        command = [kit.bin / program, "--address", address]
        for symbol in CALLED_SYMBOLS:
            processes.publish(symbol)
    # Flags of the work come last: they win.
    command += ["--json", path, *work.flags(work, options, server, served.pid)]
    process = processes.start(name, command, LOAD_CPU)
    give_up = time.monotonic() + options.seconds + 120
    while process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.1)
    if process.poll() is None:
        processes.end(process)
        raise Failed(f"{program} did not end; its log is {process.log}")
    processes.end(process)
    outcome.exit_code = process.returncode
    try:
        outcome.report = json.loads(path.read_text())
    except (OSError, ValueError):
        lines = process.log.read_text(errors="replace").strip().splitlines()
        outcome.failure = f"{program} gave no report (exit code {process.returncode}): {' '.join(lines[-3:])[:300]}"
        return
    if program == "caller":
        outcome.report = as_loadgen(outcome.report)


def as_loadgen(report):
    """What caller reports, named as loadgen names it: its last phase."""
    phase = report["commands"] or report["connect"]
    measured_ms = (phase["endUs"] - phase["startUs"]) / 1e3
    return {
        "window": {"startUs": phase["startUs"], "endUs": phase["endUs"], "measuredMs": measured_ms},
        "throughput": {"valuesPerSecond": phase["perSecond"]},
        "latency": {"p50Us": phase["p50Us"], "p99Us": phase["p99Us"], "maxUs": phase["maxUs"]},
    }


def charge(outcome, sampler, baseline_start):
    """What the server's CPU did in loadgen's window, and before it."""
    start, end = outcome.get("window", "startUs"), outcome.get("window", "endUs")
    if baseline_start is None or start is None or end is None:
        return None
    before = sampler.between(baseline_start, baseline_start + BASELINE_S)
    return sampler.between(start / 1e6, end / 1e6) | {"before": before}
