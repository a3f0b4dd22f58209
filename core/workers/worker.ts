import { systemClock } from "../clock.ts";
import type { StopRequests } from "../stop-requests.ts";
import { dialogue } from "./dialogue.ts";
import { readMessage, type WorkerMessage } from "./messages.ts";
import type { Vitals } from "./vitals.ts";

/** This process as one of several that a parent started. */
export interface Worker {
  /** From 1. */
  readonly number: number;
  /** Settings in which it differs from the others. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What the parent knows of all of them. */
  readonly whole: Vitals;
  readonly stop: Pick<StopRequests, "asked" | "hurried">;
  /** Tells the parent that it serves, and from then on how it is. */
  ready(served: Served): void;
}

export interface Served {
  readonly address: string;
  readonly admin?: string | undefined;
  readonly vitals: Vitals;
}

/** The parent asks all workers in its turn, and must be the first to lose patience. */
const PATIENCE_MS = 3_000;

/** What a parent adds to a worker's arguments, for it and for who looks at processes: `--worker=2`. */
export const WORKER_FLAG = "--worker=";

/** Undefined for a process that was not started as a worker. */
export async function joinParent(program: NodeJS.Process): Promise<Worker | undefined> {
  const flag = program.argv.find((arg) => arg.startsWith(WORKER_FLAG));
  if (flag === undefined || program.send === undefined) return undefined;
  const asked = new AbortController();
  const hurried = new AbortController();
  const begun = Promise.withResolvers<Extract<WorkerMessage, { kind: "begin" }>>();
  let own: Vitals | undefined;
  const send = (message: WorkerMessage) => void program.send?.(message, undefined, undefined, () => {});
  const parent = dialogue({ send, own: () => own, clock: systemClock, patienceMs: PATIENCE_MS });
  program.on("message", (value: unknown) => {
    const message = readMessage(value);
    if (message?.kind === "begin") begun.resolve(message);
    else if (message?.kind === "stop") asked.abort();
    else if (message?.kind === "hurry") hurried.abort();
    else if (message !== undefined) parent.heard(message);
  });
  // A Ctrl-C comes from the terminal and by the parent: only the parent can tell whether it is the second.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "disconnect"]) program.on(signal, () => asked.abort());
  const { settings } = await begun.promise;
  return {
    number: Number(flag.slice(WORKER_FLAG.length)),
    settings,
    whole: parent.other,
    stop: { asked: asked.signal, hurried: hurried.signal },
    ready({ address, admin, vitals }) {
      own = vitals;
      send({ kind: "ready", address, admin });
    },
  };
}
