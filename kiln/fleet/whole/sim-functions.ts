import type { FunctionSpec } from "../../../core/function-spec.ts";
import type { Chance } from "../chance.ts";
import type { SimulatedAnswer, SimulatedFunction, SimulatedRequest, StartPlan } from "../simulated-function.ts";

/** What the functions of one life have seen. */
export interface Seen {
  /** How often each call reached a function, by its mark. */
  readonly runs: Map<number, number>;
  /** What a function saw that must never be; what it threw would only be a 502. */
  readonly broken: string[];
}

/** The client says who it is and what it expects in these. */
export const MARK = "x-mark";
export const ANSWER_BYTES = "x-answer-bytes";

const SPECS: Readonly<Record<string, Partial<FunctionSpec>>> = {
  small: { memoryMiB: 64, timeoutMs: 400, idleTimeoutMs: 200 },
  medium: { memoryMiB: 128, timeoutMs: 800, idleTimeoutMs: 500, onCancel: "finish" },
  large: { memoryMiB: 250, timeoutMs: 600, idleTimeoutMs: 1_000 },
  shared: { memoryMiB: 64, timeoutMs: 600, idleTimeoutMs: 300, concurrency: 3, maxCalls: 7 },
  kept: { memoryMiB: 64, timeoutMs: 400, idleTimeoutMs: 200, minContainers: 1 },
  scarce: { memoryMiB: 64, timeoutMs: 600, idleTimeoutMs: 300, concurrency: 2, maxContainers: 1, onCancel: "finish" },
  huge: { memoryMiB: 2_000, timeoutMs: 600, idleTimeoutMs: 1_000 },
};

/** What clients call; some more often than others. */
export const FUNCTION_NAMES: readonly string[] =
  "small small medium medium large large huge shared shared shared kept scarce scarce".split(" ");

/** Most containers that a machine may still have once nobody calls: the minimum of each function. */
export const LEAST_CONTAINERS = Object.values(SPECS).reduce((sum, { minContainers = 0 }) => sum + minContainers, 0);

/** Functions that do whatever functions do: answer, stream, stall, throw, die. */
export function simFunctions(chance: Chance, seen: Seen): Readonly<Record<string, SimulatedFunction>> {
  const made = Object.entries(SPECS).map(([name, spec]) => {
    const handler = (request: SimulatedRequest) => serve(request, chance, seen);
    return [name, { spec, handler, start: () => startPlan(chance) }] as const;
  });
  return Object.fromEntries(made);
}

function startPlan(chance: Chance): StartPlan {
  const fate = chance.happens(0.85) ? "listens" : chance.pick(["refused", "exits", "hangs"] as const);
  return {
    fate,
    pullMs: chance.happens(0.8) ? 0 : chance.below(100),
    startMs: chance.below(chance.happens(0.1) ? 500 : 60),
    initMs: chance.below(80),
    removeMs: chance.below(chance.happens(0.3) ? 600 : 60),
  };
}

async function serve(request: SimulatedRequest, chance: Chance, { runs, broken }: Seen): Promise<SimulatedAnswer> {
  const mark = Number(request.header(MARK));
  runs.set(mark, (runs.get(mark) ?? 0) + 1);
  const { container } = request;
  const { concurrency, maxCalls } = container.task;
  if (container.open > concurrency) broken.push(`${container.open} calls run in a container for ${concurrency}`);
  if (maxCalls > 0 && container.calls.length > maxCalls) broken.push(`a container for ${maxCalls} calls ran another`);
  // In the moment of its death nobody knows of it yet.
  if (container.deadForMs > 0 || container.frozen) broken.push("a call reached a container that is dead or frozen");
  if (chance.happens(0.3)) await request.sleep(chance.below(200));
  if (chance.happens(0.03)) return stalled();
  if (chance.happens(0.05)) container.kill({ exitCode: 3, outOfMemory: chance.happens(0.5) });
  if (chance.happens(0.05)) throw new Error("the function has had enough");
  if (chance.happens(0.9)) {
    for await (const bytes of request.body()) {
      if (!isAll(bytes, mark)) broken.push(`the function of client ${mark} got bytes of another call`);
    }
  }
  return { body: answer(request, mark, chance) };
}

async function* answer(request: SimulatedRequest, mark: number, chance: Chance): AsyncGenerator<Uint8Array> {
  let left = Number(request.header(ANSWER_BYTES));
  while (left > 0) {
    const bytes = Math.min(left, 1 + chance.below(100_000));
    left -= bytes;
    yield Buffer.alloc(bytes, mark);
    if (chance.happens(0.2)) await request.sleep(chance.below(50));
    if (chance.happens(0.01)) request.container.kill();
  }
}

function stalled(): Promise<never> {
  return new Promise(() => {});
}

export function isAll(bytes: Uint8Array, mark: number): boolean {
  // Ends and middle are enough to see a stranger's bytes: pieces are of one call each.
  return [0, bytes.length >> 1, bytes.length - 1].every((at) => bytes.length === 0 || bytes[at] === mark);
}
