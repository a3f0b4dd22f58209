import type { Clock } from "../clock.ts";
import { ANSWERS, type Question, type WorkerMessage } from "./messages.ts";
import type { Vitals } from "./vitals.ts";

export interface DialogueOptions {
  readonly send: (message: WorkerMessage) => void;
  /** What this end tells; nothing as long as it has no answer yet. */
  readonly own: () => Vitals | undefined;
  readonly clock: Clock;
  /** Longest wait for an answer. */
  readonly patienceMs: number;
}

/** One end of a channel on which both ask, and answer. */
export interface Dialogue {
  /** The other end's. Who asks while an answer is awaited gets the same one, so that no channel fills with questions. */
  readonly other: Vitals;
  /** Takes a message of the other end, if it is for here. */
  heard(message: WorkerMessage): void;
}

interface Asked {
  tell(answer: unknown): void;
  fail(reason: string): void;
}

export function dialogue({ send, own, clock, patienceMs }: DialogueOptions): Dialogue {
  const asked = new Map<number, Asked>();
  const awaited = new Map<Question, Promise<unknown>>();
  let lastId = 0;

  const askNow = (question: Question): Promise<unknown> => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = ++lastId;
    const fail = (reason: string) => reject(new Error(`Asked another process for its ${question} in vain: ${reason}`));
    asked.set(id, { tell: resolve, fail });
    const cancel = clock.after(patienceMs, () => fail(`no answer in ${patienceMs} ms`));
    send({ kind: "ask", id, question });
    return promise.finally(() => {
      cancel();
      asked.delete(id);
      awaited.delete(question);
    });
  };

  const ask = (question: Question): Promise<unknown> => {
    let answer = awaited.get(question);
    if (answer === undefined) awaited.set(question, (answer = askNow(question)));
    return answer;
  };

  const answer = async (id: number, question: Question) => {
    try {
      const vitals = own();
      if (vitals === undefined) throw new Error("it has not begun to serve");
      send({ kind: "told", id, answer: await vitals[question]() });
    } catch (error) {
      send({ kind: "failed", id, reason: error instanceof Error ? error.message : String(error) });
    }
  };

  return {
    other: {
      metrics: async () => ANSWERS.metrics.parse(await ask("metrics")),
      readiness: async () => ANSWERS.readiness.parse(await ask("readiness")),
    },
    heard(message) {
      if (message.kind === "ask") void answer(message.id, message.question);
      if (message.kind === "told") asked.get(message.id)?.tell(message.answer);
      if (message.kind === "failed") asked.get(message.id)?.fail(message.reason);
    },
  };
}
