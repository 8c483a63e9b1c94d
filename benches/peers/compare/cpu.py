"""What a server costs: busy time of its CPU, and CPU time of its threads.

**Busy** is wall time less idle and waiting time of the CPU, from /proc/stat. On kernels that stop the tick of an idle
CPU (NO_HZ) idle time is measured, not sampled, so busy time is exact to the 10 ms that the file is written in; user and
system time beside it are sampled by ticks and are not used. It holds what no thread is charged with: interrupts, and
the network's work in them. What the CPU is busy with anyway is taken off: measured while the server is up and has no client.

**Threads** is the run time of all threads of the process, exact, from their schedstat.

**Foreign** is what neither these threads nor the CPU's soft-interrupt thread ran. Where that is much, something else ran
on the CPU, and its busy time says nothing of the server.
"""

import threading
import time
from pathlib import Path

TICK_S = 0.01  # USER_HZ is 100 on every Linux that this runs on.
PERIOD_S = 0.05


class Sampler:
    """Reads both every 50 ms from a thread of its own, so that any span can be charged afterwards."""

    def __init__(self, pid, cpu):
        self.pid, self.prefix = pid, f"cpu{cpu} "
        self.softirq_pid = kernel_thread(f"ksoftirqd/{cpu}")
        self.samples = []  # (Unix time, and seconds: CPU not busy, CPU stolen, threads, soft-interrupt thread)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.collect, daemon=True)

    def __enter__(self):
        self.sample()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        self.sample()

    def between(self, start, end):
        """What ran from `start` to `end`, Unix seconds; interpolated between samples."""
        idle, stolen, threads, softirq = (b - a for a, b in zip(self.at(start), self.at(end)))
        busy = end - start - idle
        seconds = {"busyS": busy, "threadsS": threads, "foreignS": busy - threads - softirq, "stolenS": stolen}
        return seconds | {"spanS": end - start}

    def collect(self):
        while not self.stopped.wait(PERIOD_S):
            self.sample()

    def sample(self):
        try:
            idle, stolen = self.core()
            softirq = run_time(self.softirq_pid) if self.softirq_pid else 0
            self.samples.append((time.time(), idle, stolen, self.threads(), softirq))
        except FileNotFoundError:
            self.stopped.set()  # The server has ended; the run will say so.

    def at(self, when):
        before = after = self.samples[0]
        for sample in self.samples:
            before, after = after, sample
            if sample[0] >= when:
                break
        span = after[0] - before[0]
        part = min(max((when - before[0]) / span, 0), 1) if span > 0 else 1
        return tuple(a + (b - a) * part for a, b in zip(before[1:], after[1:]))

    def core(self):
        with open("/proc/stat") as stat:
            for line in stat:
                if line.startswith(self.prefix):
                    fields = [int(field) for field in line.split()[1:9]]
                    return (fields[3] + fields[4]) * TICK_S, fields[7] * TICK_S
        raise FileNotFoundError(self.prefix)

    def threads(self):
        seconds = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                seconds += run_time(f"{self.pid}/task/{task.name}")
            except (FileNotFoundError, ProcessLookupError):
                pass  # That thread has ended.
        return seconds


def run_time(thread):
    """Seconds for which a thread has run."""
    return int(Path(f"/proc/{thread}/schedstat").read_text().split()[0]) / 1e9


def kernel_thread(name):
    """Its number; `None` where the kernel's threads are not to be seen, as in containers."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() == name:
                return comm.parent.name
        except (FileNotFoundError, ProcessLookupError):
            pass
    return None
