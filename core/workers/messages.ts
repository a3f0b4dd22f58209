import { z } from "zod";

const series = z.tuple([z.string(), z.number()]);

/** What either end may ask the other: a worker is asked of itself, its parent of all of them together. */
export const ANSWERS = {
  metrics: z.array(
    z.object({
      name: z.string(),
      help: z.string(),
      type: z.enum(["counter", "gauge", "histogram"]),
      samples: z.array(series),
    }),
  ),
  readiness: z.object({ ready: z.boolean(), detail: z.string() }),
} as const;

export type Question = keyof typeof ANSWERS;

const whereServed = { address: z.string(), admin: z.string().optional() };

const message = z.discriminatedUnion("kind", [
  /** The first that a worker hears: the settings that are its own. */
  z.object({ kind: z.literal("begin"), settings: z.record(z.string(), z.unknown()) }),
  z.object({ kind: z.literal("ready"), ...whereServed }),
  z.object({ kind: z.literal("stop") }),
  /** Calls that run are no longer waited for. */
  z.object({ kind: z.literal("hurry") }),
  z.object({ kind: z.literal("ask"), id: z.number(), question: z.enum(["metrics", "readiness"]) }),
  z.object({ kind: z.literal("told"), id: z.number(), answer: z.unknown() }),
  z.object({ kind: z.literal("failed"), id: z.number(), reason: z.string() }),
]);

/** Between a parent and its workers; both are of the same commit. */
export type WorkerMessage = z.infer<typeof message>;

/** Undefined for what is not ours: libraries may use the channel too. */
export function readMessage(value: unknown): WorkerMessage | undefined {
  return message.safeParse(value).data;
}
