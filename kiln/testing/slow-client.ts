import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";

import type { Orders } from "./probe-calls.ts";

/** A client on a connection of its own, that can leave at any byte. */
export interface SlowClient {
  /** Sends more of the body. */
  send(text: string): void;
  /** The answer once its head is there; undefined where the connection ended without one. */
  readonly answer: Promise<IncomingMessage | undefined>;
  leave(): void;
}

/** Calls a probe with a body of unknown length, or none. */
export function slowClient(url: string, fnId: string, orders: Orders, { streams = false } = {}): SlowClient {
  const sent = request(`${url}/invoke/${fnId}`, {
    method: "POST",
    agent: false,
    headers: { "probe-control": JSON.stringify(orders) },
  });
  const answer = once(sent, "response").then(
    ([incoming]) => {
      const message = incoming as IncomingMessage;
      message.on("error", () => {});
      return message;
    },
    () => undefined,
  );
  sent.on("error", () => {});
  if (streams) sent.flushHeaders();
  else sent.end();
  return { send: (text) => void sent.write(text), answer, leave: () => void sent.destroy() };
}

/** The whole answer as what a fetch would have made of it; undefined where it was reset, or never came. */
export async function wholeAnswer(client: SlowClient): Promise<Response | undefined> {
  const incoming = await client.answer;
  if (incoming === undefined) return undefined;
  try {
    const body = Buffer.concat(await incoming.toArray());
    const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
    return new Response(body, { status: incoming.statusCode ?? 0, headers });
  } catch {
    return undefined;
  }
}
