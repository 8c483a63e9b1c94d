"""The Python peer: websockets (asyncio) and redis.asyncio on uvloop, one process.

What was done for speed:
* uvloop instead of asyncio's own loop, hiredis as the parser of Redis' protocol.
* `broadcast` encodes the text once and writes without a task or an await per client.
* No compression, no queue of keepalive tasks per client beyond the library's own.

Slow clients: every SWEEP_S seconds whoever has more than BACKLOG_BYTES_MAX waiting in its transport is disconnected;
`broadcast` itself never waits for anybody.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from datetime import datetime, timezone
from http import HTTPStatus

import redis.asyncio
import uvloop
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

CHANNEL = "market-data:updates"
BACKLOG_BYTES_MAX = 256 * 1024
SWEEP_S = 0.25


class Hub:
    """Symbols: how many values there were, the newest, and who subscribed."""

    def __init__(self):
        self.sequences = defaultdict(int)
        self.newest = {}
        self.subscribers = defaultdict(set)
        self.clients = set()

    def publish(self, payload):
        symbol = json.loads(payload)["symbol"]
        self.sequences[symbol] += 1
        value = f'{payload[:-1]},"seq":{self.sequences[symbol]}}}'
        self.newest[symbol] = value
        broadcast(self.subscribers[symbol], value)

    async def serve_client(self, client):
        self.clients.add(client)
        symbols = set()
        try:
            greeting = {"type": "connected", "message": "Connected", "clientId": str(client.id), "epoch": "0"}
            await client.send(json.dumps(greeting | {"heartbeatMs": 30000, "timestamp": now()}))
            async for message in client:
                # Written at once, as live values are, so that nothing comes between the answer and the newest values.
                broadcast([client], json.dumps(self.execute(message, client, symbols)))
                while self.due:
                    broadcast([client], self.due.pop())
        except ConnectionClosed:
            pass
        finally:
            self.clients.discard(client)
            for symbol in symbols:
                self.subscribers[symbol].discard(client)

    def execute(self, message, client, symbols):
        """The answer to a command; `self.due` are the values to be sent behind it."""
        self.due = []
        try:
            command = json.loads(message)
        except ValueError:
            return {"type": "error", "code": "INVALID_MESSAGE", "message": "not JSON", "timestamp": now()}
        action = command.get("action")
        names = [name.upper() for name in command.get("symbols", [])]
        if action == "subscribe":
            for name in names:
                symbols.add(name)
                self.subscribers[name].add(client)
            self.due = [self.newest[name] for name in names if name in self.newest]
            answer = {"type": "subscribed", "id": command.get("id"), "symbols": names, "channels": []}
            return answer | {"throttle": 0, "rejected": [], "timestamp": now()}
        if action == "unsubscribe":
            names = names if "symbols" in command else sorted(symbols)
            for name in names:
                symbols.discard(name)
                self.subscribers[name].discard(client)
            return {"type": "unsubscribed", "symbols": names, "channels": [], "timestamp": now()}
        if action == "ping":
            return {"type": "pong", "timestamp": command.get("timestamp"), "serverTime": now()}
        hint = "action is subscribe, unsubscribe or ping"
        return {"type": "error", "code": "UNSUPPORTED_ACTION", "message": hint, "timestamp": now()}

    async def disconnect_slow_clients(self):
        while True:
            await asyncio.sleep(SWEEP_S)
            for client in list(self.clients):
                if client.transport.get_write_buffer_size() > BACKLOG_BYTES_MAX:
                    client.transport.abort()


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def only_ws(connection, request):
    if request.path != "/ws":
        return connection.respond(HTTPStatus.NOT_FOUND, "the path is /ws\n")
    return None


async def main():
    parser = argparse.ArgumentParser(description="Tickwire's wire on Python's websockets, to compare with")
    parser.add_argument("--listen", default="127.0.0.1:8081")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")
    hub = Hub()
    subscription = redis.asyncio.from_url(arguments.redis, decode_responses=True).pubsub()
    await subscription.subscribe(CHANNEL)
    while await subscription.get_message(timeout=None) is None:  # The confirmation.
        pass
    options = {"compression": None, "process_request": only_ws, "max_size": 64 * 1024, "backlog": 4096}
    async with serve(hub.serve_client, host, int(port), **options) as server:
        sweep = asyncio.create_task(hub.disconnect_slow_clients())
        print(f"listening on {host}:{server.sockets[0].getsockname()[1]}", flush=True)
        async for message in subscription.listen():
            if message["type"] == "message":
                hub.publish(message["data"])
        sweep.cancel()


uvloop.run(main())
