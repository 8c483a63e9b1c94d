"""What a server costs: busy time of its CPU, and CPU time of its threads.

**Busy** is wall time less idle and waiting time of the CPU, from /proc/stat. On kernels that stop the tick of an idle
CPU (NO_HZ) idle time is measured, not sampled, so busy time is exact to the 10 ms that the file is written in; user and
system time beside it are sampled by ticks and are not used. It holds what no thread is charged with: interrupts, and
the network's work in them. What the CPU is busy with anyway is taken off: measured with the server up and no client.

**Threads** is the run time of all threads of the process, exact, from their schedstat.
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
        self.samples = []  # (Unix time, not-busy seconds of the CPU, stolen seconds, thread seconds)
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
        """Busy, stolen and thread seconds from `start` to `end`, Unix seconds; interpolated between samples."""
        first, last = self.at(start), self.at(end)
        idle, stolen, threads = (b - a for a, b in zip(first, last))
        return {"busyS": end - start - idle, "stolenS": stolen, "threadsS": threads}

    def collect(self):
        while not self.stopped.wait(PERIOD_S):
            self.sample()

    def sample(self):
        try:
            idle, stolen = self.core()
            self.samples.append((time.time(), idle, stolen, self.threads()))
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
        nanoseconds = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                nanoseconds += int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass  # That thread has ended.
        return nanoseconds / 1e9
