"""The servers that are compared, and how each is started."""

import json
import subprocess
from dataclasses import dataclass

from work import ANSWER_BYTES, FIRST_VALUES_BYTES


@dataclass(frozen=True)
class Server:
    name: str
    about: str
    kind: str  # engine, floor or peer
    command: object  # (kit) -> the command without its addresses
    packages: tuple = ()  # whose versions are told
    needs: str = ""  # what install.py has to do for it: npm, venv or nothing
    listen: tuple = ("--listen", "127.0.0.1:0")
    redis: str = "--redis"
    dialect: tuple = ()
    path: str = "/ws"
    subscribes: bool = True  # at Redis

    def invocation(self, kit, redis_url):
        return [*self.command(kit), *self.listen, self.redis, redis_url]

    def url(self, address):
        return f"ws://{address}{self.path}"


def floor(mode):
    return lambda kit: [kit.bin / "floor", "--mode", mode]


def answering(sizes):
    return lambda kit: [kit.bin / "floor", "--mode", "answer", "--answer-bytes", sizes]


def script(folder, *interpreter):
    return lambda kit: [*(part(kit) if callable(part) else part for part in interpreter), kit.peers / folder]


def bun(kit):
    return kit.peers / "bun/node_modules/.bin/bun"


def python(kit):
    return kit.venv / "bin/python"


ALL = {
    server.name: server
    for server in (
        Server(
            "engine",
            "Tickwire, one shard, ingest on the same CPU",
            "engine",
            lambda kit: [kit.bin / "tickwire", "--cores", "0", "--admin-listen", "127.0.0.1:0"],
            redis="--redis-url",
        ),
        Server(
            "engine-glommio",
            "the same over the driver on glommio",
            "engine",
            lambda kit: [kit.bin / "tickwire", "--cores", "0", "--admin-listen", "127.0.0.1:0", "--driver", "glommio"],
            redis="--redis-url",
        ),
        Server("floor-send", "bare loop, one send() per update and client", "floor", floor("send")),
        Server("floor-coalesce", "the same, one send() per client for what one read brought", "floor", floor("coalesce")),
        Server("floor-uring", "the same through io_uring, 512 sends at a time", "floor", floor("uring")),
        Server(
            "floor-answer",
            "bare loop that answers upgrades and messages and delivers nothing; without Redis",
            "floor",
            answering(ANSWER_BYTES),
            subscribes=False,
        ),
        Server(
            "floor-first-values",
            "the same; connecting to it includes a subscription, answered with as many bytes as the engine's",
            "floor",
            answering(FIRST_VALUES_BYTES),
            subscribes=False,
        ),
        Server(
            "tungstenite",
            "Rust: tokio-tungstenite, a task per client",
            "peer",
            lambda kit: [kit.bin / "peer-tungstenite"],
            packages=("cargo:tokio-tungstenite", "cargo:tokio"),
        ),
        Server(
            "bun",
            "Bun's own WebSocket server and Redis client",
            "peer",
            script("bun/server.mjs", bun),
            packages=("npm:bun",),
            needs="npm",
        ),
        Server(
            "node-ws",
            "Node.js: ws and ioredis",
            "peer",
            script("node-ws/server.mjs", "node"),
            packages=("node", "npm:ws", "npm:ioredis"),
            needs="npm",
        ),
        Server(
            "socket-io",
            "Node.js: socket.io, WebSocket transport",
            "peer",
            script("socket-io/server.mjs", "node"),
            packages=("node", "npm:socket.io", "npm:ioredis"),
            needs="npm",
            dialect=("--dialect", "socket.io"),
            path="/socket.io/?EIO=4&transport=websocket",
        ),
        Server(
            "python-websockets",
            "Python: websockets and redis.asyncio on uvloop",
            "peer",
            script("python-websockets/server.py", python),
            packages=("python", "pip:websockets", "pip:uvloop", "pip:redis"),
            needs="venv",
        ),
    )
}


def another_engine(name, program):
    """The engine as another build, for `--engine`."""
    flags = ["--cores", "0", "--admin-listen", "127.0.0.1:0"]
    about = f"the engine as another build: {program.name}"
    return Server(f"engine-{name}", about, "engine", lambda kit: [program, *flags], redis="--redis-url")


def versions(server, kit):
    """What a server consists of, for the report."""
    return ", ".join(version(package, server, kit) for package in server.packages)


def version(package, server, kit):
    source, _, name = package.rpartition(":")
    if source == "npm":
        manifest = kit.peers / server.name / "node_modules" / name / "package.json"
        return f"{name} {json.loads(manifest.read_text())['version']}"
    if source == "pip":
        requirements = (kit.peers / server.name / "requirements.txt").read_text().split()
        return next(line.replace("==", " ") for line in requirements if line.startswith(f"{name}=="))
    if source == "cargo":
        _, _, behind = (kit.root / "Cargo.lock").read_text().partition(f'name = "{name}"\nversion = "')
        return f"{name} {behind.partition(chr(34))[0]}"
    interpreter = python(kit) if name == "python" else name
    answer = subprocess.run([interpreter, "--version"], capture_output=True, text=True, check=True).stdout
    return f"{name} {answer.split()[-1].lstrip('v')}"
