import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** What goes between a holder and whoever measures: `sent` once all requests are, `released` with the answers that came. */
export type ToHolder =
  | {
      readonly type: "hold";
      readonly host: string;
      readonly port: number;
      readonly request: string;
      readonly count: number;
    }
  | { readonly type: "release" };
export type FromHolder =
  | { readonly type: "sent" }
  | { readonly type: "released"; readonly answered: number }
  | { readonly type: "failed"; readonly why: string };

/** Clients that wait for their answers, each on a connection of its own, in a process of their own. */
export interface Holder extends AsyncDisposable {
  /** Sends so many calls. @throws Error where connections fail */
  hold(url: string, call: HeldCall, count: number): Promise<void>;
  /** All clients leave. @returns how often something came back meanwhile */
  release(): Promise<number>;
}

export interface HeldCall {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export function startHolder(): Holder {
  const child = fork(join(import.meta.dirname, "holder-main.ts"), { env: {} });
  const exited = once(child, "exit");
  const ask = async (message: ToHolder): Promise<FromHolder> => {
    const answer = once(child, "message");
    child.send(message);
    const [told] = (await Promise.race([answer, exited])) as [FromHolder | number | null];
    if (typeof told !== "object" || told === null) throw new Error("The holder of calls ended before it was told to");
    if (told.type === "failed") throw new Error(`Cannot send calls that wait: ${told.why}`);
    return told;
  };
  return {
    async hold(url, { path, headers = {}, body }, count) {
      const { hostname: host, port } = new URL(url);
      const fields = { host, "content-length": String(Buffer.byteLength(body)), ...headers };
      const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
      const request = `POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
      await ask({ type: "hold", host, port: Number(port), request, count });
    },
    async release() {
      const told = await ask({ type: "release" });
      return told.type === "released" ? told.answered : 0;
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
