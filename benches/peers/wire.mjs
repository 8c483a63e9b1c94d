// What the JavaScript peers share: their options, the values by symbol, and the messages of the wire.

import { parseArgs } from "node:util";

export const CHANNEL = "market-data:updates";

/** `--listen HOST:PORT --redis redis://HOST:PORT`; port 0 is one that is free. */
export function options() {
  const { values } = parseArgs({
    options: {
      listen: { type: "string", default: "127.0.0.1:8081" },
      redis: { type: "string", default: "redis://127.0.0.1:6379" },
    },
  });
  const at = values.listen.lastIndexOf(":");
  const host = values.listen.slice(0, at);
  return { host, port: Number(values.listen.slice(at + 1)), redis: values.redis };
}

/** The newest value of each symbol, and how many there were. */
export class Values {
  #symbols = new Map();

  /** Counts one more value of `symbol`, and keeps and returns what `encode` makes of its number. */
  update(symbol, encode) {
    let value = this.#symbols.get(symbol);
    if (value === undefined) this.#symbols.set(symbol, (value = { seq: 0, newest: undefined }));
    value.seq += 1;
    value.newest = encode(value.seq);
    return value.newest;
  }

  newest(symbol) {
    return this.#symbols.get(symbol)?.newest;
  }
}

/** A canonical object with its number. Not serialized anew: prices keep their digits, and it costs less. */
export function numbered(payload, seq) {
  return `${payload.slice(0, -1)},"seq":${seq}}`;
}

/** The greeting. */
export function connected(clientId) {
  const timestamp = new Date().toISOString();
  return { type: "connected", message: "Connected", clientId, epoch: "0", heartbeatMs: 30000, timestamp };
}

/**
 * Carries out one command: `client` has `subscribe(symbol)`, `unsubscribe(symbol)`, the set `symbols`, and
 * `send(object)`. Returns the symbols whose newest values are to be sent now.
 */
export function execute(command, client) {
  const timestamp = new Date().toISOString();
  const symbols = (command?.symbols ?? []).map((symbol) => String(symbol).toUpperCase());
  switch (command?.action) {
    case "subscribe":
      for (const symbol of symbols) client.subscribe(symbol);
      client.send({ type: "subscribed", id: command.id, symbols, channels: [], throttle: 0, rejected: [], timestamp });
      return symbols;
    case "unsubscribe": {
      const ended = command.symbols === undefined ? [...client.symbols] : symbols;
      for (const symbol of ended) client.unsubscribe(symbol);
      client.send({ type: "unsubscribed", id: command.id, symbols: ended, channels: [], timestamp });
      return [];
    }
    case "ping":
      client.send({ type: "pong", id: command.id, timestamp: command.timestamp ?? timestamp, serverTime: timestamp });
      return [];
    default:
      client.send(error("UNSUPPORTED_ACTION", "action is subscribe, unsubscribe or ping"));
      return [];
  }
}

export function error(code, message) {
  return { type: "error", code, message, timestamp: new Date().toISOString() };
}

/** A text message as JSON; `undefined` when it is none. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
