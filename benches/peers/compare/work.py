"""What the servers have to do."""

import argparse
from dataclasses import dataclass

FLOORS = ("floor-send", "floor-coalesce", "floor-uring")

# Sizes of the engine's answers to what `caller` asks: subscribe and unsubscribe with 10 symbols, ping.
ANSWER_BYTES = "210,185,101"

# Of the first of them and the values behind it: 210 bytes, and ten times 200 with `seq` and a header.
FIRST_VALUES_BYTES = "2330"

# Symbols of a subscription of `caller`, all of which have a value that is sent with the answer.
CALLED_SYMBOLS = [f"SYM{number:03}" for number in range(1, 11)]


@dataclass(frozen=True)
class Work:
    name: str
    about: str
    flags: object  # (options, server, its pid) -> flags of loadgen or of caller
    scenario: str = ""  # of loadgen; without it caller is the load
    clients: object = "connections"  # How many, or the option that says so.
    floor: str = "floor-send"  # What a figure is held against.
    servers: tuple = ()  # The only ones that take part; all but those of ANSWERING where there are none.
    charges_cpu: bool = False
    needs_redis: bool = True
    is_extra: bool = False  # Only when asked for.

    def count(self, options):
        return self.clients if isinstance(self.clients, int) else getattr(options, self.clients)

    def scope(self, options):
        return f"{self.count(options)} clients, {self.about}"

    def takes(self, server):
        if not self.servers:
            return server.name not in ANSWERING
        return server.name in self.servers or (server.kind == "engine" and "engine" in self.servers)


def loadgen(*flags, symbols=50):
    """Flags of loadgen for clients that all want the same symbols."""
    return lambda work, options, *_: ["--connections", work.count(options), "--symbols", symbols, *flags]


def idle(work, options, _, pid):
    return ["--connections", work.count(options), "--symbols", 50, "--server-pid", pid]


def calls(*flags):
    def of(work, options, server, _):
        speaks = {
            "floor-answer": ["--greeting-frames", 0, "--until", "upgraded"],
            "floor-first-values": ["--greeting-frames", 0, "--subscribed-frames", 1],
        }.get(server.name, ["--subscribed-frames", 1 + len(CALLED_SYMBOLS)])
        return ["--connections", work.count(options), *speaks, *flags]

    return of


# Before the window those who read nothing are to be stuck. A socket whose server sets no bound takes up to 2.9 MB of
# this (net.ipv4.tcp_wmem at 4 MB), which is 14 s at 50 times 4 KiB.
STUCK = ("--slow-share", "10%", "--slow-read", 0, "--warm-up", "16s")
OWN_SETS = ("--symbols-per-client", 10, "--zipf", 0)

STEADY = loadgen("--rate", 50, "--payload-bytes", 200)
SATURATE = loadgen("--payload-bytes", 200)
STEADY_TEXT = "50 symbols each, 50 updates/s of 200 bytes"
SATURATE_TEXT = "50 symbols each, as many updates as are taken"
ANSWERING = ("floor-answer", "floor-first-values")
ASKED = ("engine", "floor-answer")

CHARGED = {"charges_cpu": True}
EXTRA = {"is_extra": True}
HELD = {"floor": "floor-coalesce", **CHARGED}

ALL = {
    work.name: work
    for work in (
        Work("steady", STEADY_TEXT, STEADY, "steady", **CHARGED),
        Work("saturate", SATURATE_TEXT, SATURATE, "saturate", **HELD),
        Work("idle", "50 symbols each, that get nothing", idle, "idle", "idle_connections", needs_redis=False),
        Work("slow", "10 % of them read nothing, 50 updates/s of 4 KiB", loadgen("--rate", 50, "--payload-bytes", 4096, *STUCK), "slow"),
        Work("few", STEADY_TEXT, STEADY, "steady", 100, **CHARGED, **EXTRA),
        Work("saturate-few", SATURATE_TEXT, SATURATE, "saturate", 100, **HELD, **EXTRA),
        Work("saturate-many", SATURATE_TEXT, SATURATE, "saturate", 5000, **HELD, **EXTRA),
        Work("million", "50 symbols each, 1000 updates/s: a million values/s", loadgen("--rate", 1000), "steady", **HELD, **EXTRA),
        Work("sets", "each its own 10 of 1000 symbols, 5000 updates/s", loadgen("--rate", 5000, *OWN_SETS, symbols=1000), "mixed", **HELD, **EXTRA),
        Work("wide", "1 symbol, 4 updates/s", loadgen("--rate", 4, symbols=1), "steady", 5000, **CHARGED, **EXTRA),
        Work("connect", "connected, upgraded, subscribed to 10 symbols and sent their values", calls(), "", 9000, "floor-answer", ("engine", *ANSWERING), **CHARGED, **EXTRA),
        Work("inbound", "100 × subscribe, unsubscribe, ping, one after the other", calls("--commands", 100), "", 1000, "floor-answer", ASKED, **CHARGED, **EXTRA),
    )
}
CHECK = Work("check", "", loadgen("--rate", 200, "--warm-up", "1s"), "steady")
CHECK_OPTIONS = argparse.Namespace(seconds=2, connections=100)
