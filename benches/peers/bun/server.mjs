// Bun's own WebSocket server and Redis client: one process, no package besides Bun.
//
// What was done for speed:
// * A topic per symbol: `server.publish` hands the text over once, and fan-out, framing and the joining of what one
//   turn of the loop sends to a client are native (uWebSockets).
// * No compression, commands answered corked.
//
// Slow clients: whoever lets more than BACKLOG_BYTES_MAX wait for it is disconnected. (The other choice of the library
// is to drop what comes then, and a client would not end on the newest value.)

import { RedisClient } from "bun";
import { CHANNEL, Values, connected, error, execute, numbered, options, parse } from "../wire.mjs";

const BACKLOG_BYTES_MAX = 256 * 1024;

const { host, port, redis } = options();
const values = new Values();
let clientCount = 0;

const subscription = new RedisClient(redis);
await subscription.connect();

const server = Bun.serve({
  hostname: host,
  port,
  fetch(request, server) {
    const isUpgraded = new URL(request.url).pathname === "/ws" && server.upgrade(request, { data: new Set() });
    return isUpgraded ? undefined : new Response("", { status: 404 });
  },
  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: 64 * 1024,
    idleTimeout: 120,
    backpressureLimit: BACKLOG_BYTES_MAX,
    closeOnBackpressureLimit: true,
    open(ws) {
      ws.send(JSON.stringify(connected(String(++clientCount))));
    },
    message(ws, data) {
      const command = parse(data);
      ws.cork(() => {
        if (command === undefined) return ws.send(JSON.stringify(error("INVALID_MESSAGE", "not JSON")));
        const client = {
          symbols: ws.data,
          subscribe: (symbol) => (ws.data.add(symbol), ws.subscribe(symbol)),
          unsubscribe: (symbol) => (ws.data.delete(symbol), ws.unsubscribe(symbol)),
          send: (object) => ws.send(JSON.stringify(object)),
        };
        for (const symbol of execute(command, client)) {
          const newest = values.newest(symbol);
          if (newest !== undefined) ws.send(newest);
        }
      });
    },
  },
});

await subscription.subscribe(CHANNEL, (payload) => {
  const { symbol } = JSON.parse(payload);
  server.publish(symbol, values.update(symbol, (seq) => numbered(payload, seq)));
});
console.log(`listening on ${host}:${server.port}`);
