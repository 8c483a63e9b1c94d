"""What is started here, and that all of it ends."""

import re
import socket
import subprocess
import time

PATIENCE_S = 20
LISTENING = re.compile(r"listening on ((?:\[[^\]]*\]|[^\s:)]+):\d+)")


class Failed(Exception):
    """Something without which there is nothing to compare; the text names the remedy."""


class Processes:
    """Runs programs in sessions of their own, so that Ctrl-C reaches them through here, in order."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []

    def __enter__(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            self.end(process)

    def start(self, name, command, cpu):
        """Starts `command` on one CPU; its output goes to a log of that name."""
        log = self.directory / f"{name}.log"
        with open(log, "wb") as out:
            pinned = ["taskset", "-c", str(cpu), *map(str, command)]
            process = subprocess.Popen(
                pinned, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        process.log = log
        self.running.append(process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.running:
            self.running.remove(process)

    def start_redis(self):
        """A Redis of our own; its address."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.redis_port = free.getsockname()[1]
        options = ["--port", self.redis_port, "--bind", "127.0.0.1", "--save", "", "--dir", self.directory]
        redis = self.start("redis", ["redis-server", *options], 1)
        self.wait(redis, "redis-server does not answer", lambda: self.ask_redis("PING") == "+PONG")
        return f"redis://127.0.0.1:{self.redis_port}"

    def start_server(self, name, command, cpu, subscribes):
        """Starts a server, and waits until it listens and has subscribed at Redis; the process and its address."""
        server = self.start(name, command, cpu)

        def address():
            found = LISTENING.search(server.log.read_text(errors="replace"))
            return found and found.group(1)

        where = self.wait(server, f"{name} does not listen", address)
        subscribed = "PUBSUB NUMSUB market-data:updates"
        if subscribes:
            self.wait(server, f"{name} does not subscribe", lambda: self.ask_redis(subscribed) not in (None, ":0"))
        return server, where

    def publish(self, symbol):
        """Publishes a value of 200 bytes."""
        head = f'{{"type":"price_update","symbol":"{symbol}","data":{{"price":101.5,"note":"'
        tail = '"},"timestamp":"2026-01-01T00:00:00Z"}'
        payload = f"{head}{'.' * (200 - len(head) - len(tail))}{tail}"
        quoted = payload.replace('"', '\\"')
        self.ask_redis(f'PUBLISH market-data:updates "{quoted}"')

    def wait(self, process, complaint, condition):
        """The first true value of `condition`."""
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up and process.poll() is None:
            if value := condition():
                return value
            time.sleep(0.05)
        self.end(process)
        text = process.log.read_text(errors="replace").strip()
        raise Failed(f"{complaint}; its log {process.log} ends:\n{text[-2000:]}")

    def ask_redis(self, command):
        """The last line of Redis' answer to an inline command; `None` when it does not answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.redis_port), timeout=1) as connection:
                connection.sendall(command.encode() + b"\r\n")
                return connection.recv(4096).decode().strip().splitlines()[-1]
        except (OSError, IndexError):
            return None
