import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";

export interface FunctionAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** One call over a function's socket by nothing but node:http, so that a test of Kiln's client is not one of this. */
export async function callFunction(socketPath: string, order: object, signal?: AbortSignal): Promise<FunctionAnswer> {
  const sent = request({
    socketPath,
    path: "/call",
    method: "POST",
    headers: { "content-type": "application/json", "fn-call-id": "0" },
    // A connection for each call: an ended function must not be met on a kept one.
    agent: false,
    ...(signal === undefined ? {} : { signal }),
  });
  sent.end(JSON.stringify(order));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}
