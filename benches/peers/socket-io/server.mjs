// socket.io as its users write it: a room per symbol, event "message" both ways, WebSocket transport only.
//
// What was done for speed:
// * An update is parsed once, numbered, and emitted to its room; socket.io encodes it once and its in-memory adapter
//   frames it once for all of the room. (The library takes objects, not text, so digits such as 2450.50 are lost.)
// * No compression, no connection-state recovery, no client bundle; the request of the handshake is released.
//
// Slow clients: every SWEEP_MS whoever has more than BACKLOG_PACKETS_MAX packets waiting is disconnected.

import { createServer } from "node:http";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { CHANNEL, Values, connected, execute, options } from "../wire.mjs";

const BACKLOG_PACKETS_MAX = 256;
const SWEEP_MS = 250;

const { host, port, redis } = options();
const values = new Values();
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  allowUpgrades: false,
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  maxHttpBufferSize: 64 * 1024,
});

io.on("connection", (socket) => {
  socket.conn.request = null;
  const symbols = new Set();
  const client = {
    symbols,
    subscribe: (symbol) => (symbols.add(symbol), socket.join(symbol)),
    unsubscribe: (symbol) => (symbols.delete(symbol), socket.leave(symbol)),
    send: (object) => socket.emit("message", object),
  };
  socket.on("message", (command) => {
    for (const symbol of execute(command, client)) {
      const newest = values.newest(symbol);
      if (newest !== undefined) socket.emit("message", newest);
    }
  });
  client.send(connected(socket.id));
});

setInterval(() => {
  for (const socket of io.sockets.sockets.values()) {
    if (socket.conn.writeBuffer.length > BACKLOG_PACKETS_MAX) socket.conn.close(true);
  }
}, SWEEP_MS);

const subscription = new Redis(redis);
subscription.on("error", (cause) => console.error(`socket-io: Redis: ${cause.message}`));
subscription.on("message", (_, payload) => {
  const update = JSON.parse(payload);
  io.to(update.symbol).emit("message", values.update(update.symbol, (seq) => Object.assign(update, { seq })));
});

await subscription.subscribe(CHANNEL);
http.listen({ host, port, backlog: 4096 }, () => console.log(`listening on ${host}:${http.address().port}`));
