import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";

import { pause, systemClock } from "../../core/clock.ts";

export interface LoadOptions {
  /** Gateways, `host:port`; a client goes to the next where one refuses its connection, and tries nothing else again. */
  readonly gateways: readonly string[];
  readonly fnId: string;
  readonly clients: number;
  /** Orders to the probe. */
  readonly orders: Readonly<Record<string, unknown>>;
  /** Longest wait for an answer; one that takes longer has none. */
  readonly patienceMs?: number;
}

export interface LoadReport {
  readonly calls: number;
  /** Calls by what came of them: "200", a code of an error body, or what happened to the connection. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Calls that a client gave up on. */
  readonly unanswered: number;
}

/** Clients that call, one call after the other each, until they are stopped. */
export interface Load {
  /** Calls that have ended. */
  readonly ended: number;
  /** Resolves when the last calls have ended. */
  stop(): Promise<LoadReport>;
}

const PATIENCE_MS = 60_000;
const REFUSED_PAUSE_MS = 20;

export function startLoad({ gateways, fnId, clients, orders, patienceMs = PATIENCE_MS }: LoadOptions): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const outcomes = new Map<string, number>();
  const stopping = new AbortController();
  let ended = 0;
  let unanswered = 0;

  const client = async (index: number) => {
    let at = index;
    while (!stopping.signal.aborted) {
      const address = gateways[at % gateways.length] ?? "";
      const outcome = await callOnce(address, { agent, fnId, orders, patienceMs });
      if (outcome === "ECONNREFUSED") {
        at += 1;
        await pause(systemClock, REFUSED_PAUSE_MS);
        continue;
      }
      ended += 1;
      if (outcome === "unanswered") unanswered += 1;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  const running = Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  return {
    get ended() {
      return ended;
    },
    async stop() {
      stopping.abort();
      await running;
      agent.destroy();
      return { calls: ended, outcomes: Object.fromEntries(outcomes), unanswered };
    },
  };
}

interface Attempt extends Pick<LoadOptions, "fnId" | "orders"> {
  readonly agent: Agent;
  readonly patienceMs: number;
}

/** What came of one call. */
function callOnce(address: string, { agent, fnId, orders, patienceMs }: Attempt): Promise<string> {
  const body = randomUUID();
  return new Promise((resolve) => {
    const sent = request(`http://${address}/invoke/${fnId}`, {
      method: "POST",
      agent,
      headers: { "probe-control": JSON.stringify(orders), "content-length": body.length },
    });
    const giveUp = systemClock.after(patienceMs, () => {
      resolve("unanswered");
      sent.destroy();
    });
    const done = (outcome: string) => {
      giveUp();
      resolve(outcome);
    };
    sent.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    sent.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => void chunks.push(chunk));
      response.on("error", (error: NodeJS.ErrnoException) =>
        done(`cut after its head: ${error.code ?? error.message}`),
      );
      response.on("end", () => done(outcomeOf(response.statusCode ?? 0, Buffer.concat(chunks), body)));
    });
    sent.end(body);
  });
}

function outcomeOf(status: number, answer: Buffer, sent: string): string {
  if (status === 200) return answer.toString() === sent ? "200" : "200 with another call's bytes";
  try {
    const { code } = JSON.parse(answer.toString()) as { readonly code?: string };
    return `${status} ${code ?? "without a code"}`;
  } catch {
    return `${status} without a code`;
  }
}

/** How many calls reached a function, and how many of them more than once, by what the probe counted there. */
export async function countRuns(directory: string): Promise<{ readonly calls: number; readonly twice: number }> {
  const names = await readdir(directory);
  const runs = await Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
  return { calls: names.length, twice: runs.filter((text) => text.trim().split("\n").length > 1).length };
}
