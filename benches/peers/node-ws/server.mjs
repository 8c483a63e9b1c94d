// The classic Node.js design: ws and ioredis, one process.
//
// What was done for speed:
// * An update becomes one complete WebSocket frame, header included, once; the same Buffer is written to every socket.
//   (`ws.send` would build a header per client and write two buffers; without compression ws writes to the socket at
//   once, so whole frames may be written beside it.)
// * What one read from Redis brought is written corked: one writev(2) per client for all of it.
// * No compression, no per-client closures on the way of a value.
//
// Slow clients: while more than BACKLOG_BYTES_MAX wait for a client, values are not queued for it; its symbols are
// remembered, and when the socket has drained it gets the newest value of each. It ends on the newest, untold.

import { createServer } from "node:http";
import { Redis } from "ioredis";
import { Sender, WebSocketServer } from "ws";
import { CHANNEL, Values, connected, error, execute, numbered, options, parse } from "../wire.mjs";

const BACKLOG_BYTES_MAX = 256 * 1024;

const { host, port, redis } = options();
const values = new Values();
/** Symbol to the clients that subscribed to it. */
const subscribers = new Map();

class Client {
  symbols = new Set();
  /** Symbols of which values were left out, while the socket is full. */
  behind = undefined;
  isCorked = false;

  constructor(ws, socket) {
    this.ws = ws;
    this.socket = socket;
    socket.on("drain", () => this.catchUp());
  }

  subscribe(symbol) {
    this.symbols.add(symbol);
    let clients = subscribers.get(symbol);
    if (clients === undefined) subscribers.set(symbol, (clients = new Set()));
    clients.add(this);
  }

  unsubscribe(symbol) {
    this.symbols.delete(symbol);
    this.behind?.delete(symbol);
    subscribers.get(symbol)?.delete(this);
  }

  send(object) {
    this.ws.send(JSON.stringify(object));
  }

  write(symbol, frame) {
    if (this.behind !== undefined || this.socket.writableLength > BACKLOG_BYTES_MAX) {
      (this.behind ??= new Set()).add(symbol);
    } else {
      this.socket.write(frame);
    }
  }

  catchUp() {
    const behind = this.behind;
    if (behind === undefined) return;
    this.behind = undefined;
    for (const symbol of behind) this.write(symbol, values.newest(symbol));
  }
}

const frame = (text) =>
  Buffer.concat(Sender.frame(Buffer.from(text), { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false }));

const http = createServer((_, response) => response.writeHead(404).end());
const server = new WebSocketServer({ server: http, path: "/ws", perMessageDeflate: false, maxPayload: 64 * 1024 });
let clientCount = 0;

server.on("connection", (ws, request) => {
  const client = new Client(ws, request.socket);
  ws.on("message", (data) => {
    const command = parse(data.toString());
    if (command === undefined) return client.send(error("INVALID_MESSAGE", "not JSON"));
    client.socket.cork();
    for (const symbol of execute(command, client)) {
      const newest = values.newest(symbol);
      if (newest !== undefined) client.write(symbol, newest);
    }
    client.socket.uncork();
  });
  ws.on("close", () => {
    for (const symbol of [...client.symbols]) client.unsubscribe(symbol);
  });
  ws.on("error", () => {});
  client.send(connected(String(++clientCount)));
});

/** Clients that were written to since the last read from Redis. */
const corked = [];

const subscription = new Redis(redis);
subscription.on("error", (cause) => console.error(`node-ws: Redis: ${cause.message}`));
subscription.on("message", (_, payload) => {
  const { symbol } = JSON.parse(payload);
  const value = values.update(symbol, (seq) => frame(numbered(payload, seq)));
  const clients = subscribers.get(symbol);
  if (clients === undefined) return;
  // The messages of one read arrive without a turn of the loop in between.
  if (corked.length === 0) process.nextTick(flush);
  for (const client of clients) {
    if (!client.isCorked) {
      client.isCorked = true;
      client.socket.cork();
      corked.push(client);
    }
    client.write(symbol, value);
  }
});

function flush() {
  for (const client of corked) {
    client.isCorked = false;
    client.socket.uncork();
  }
  corked.length = 0;
}

await subscription.subscribe(CHANNEL);
http.listen({ host, port, backlog: 4096 }, () => console.log(`listening on ${host}:${http.address().port}`));
