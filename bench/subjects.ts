import { join } from "node:path";

import { pause, systemClock } from "../core/clock.ts";
import type { Parties } from "./accounts.ts";
import type { KilnSystem } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { Target } from "./load/job.ts";
import { startProgram } from "./program.ts";
import { startSlowWire } from "./slow-wire.ts";

/** A way to the same functions: what is measured, and its bounds. */
export interface Subject {
  readonly name: string;
  /** For so many clients. */
  targets(clients: number): readonly Target[];
  readonly parties: Parties;
}

export interface Subjects extends AsyncDisposable {
  /** The bounds before Kiln. */
  readonly all: readonly Subject[];
}

const bare = join(import.meta.dirname, "bare");
const ATTEMPTS = 60;
const ATTEMPT_EVERY_MS = 500;

/** Programs without Kiln's features, each a gateway and a runner below `bare/`. */
const PAIRS = { "bare program": "", "Connect unary": "unary-", "bare pipe": "pipe-" } as const;
export type BarePair = keyof typeof PAIRS;

export interface SubjectOptions {
  readonly fnId: string;
  /** Hot containers. */
  readonly most: number;
  /** Calls at a time in each of them; 1, unless told. */
  readonly callsEach?: number;
  readonly pairs: readonly BarePair[];
  /** Between gateways and runners, milliseconds each way; Kiln was started with the same. */
  readonly delayMs?: number;
}

/**
 * Kiln with so many hot containers of one function, and its bounds, which use those containers' sockets: each of them
 * driven directly, and behind programs without Kiln's features.
 */
export async function openSubjects(
  kiln: KilnSystem,
  generator: Generator,
  { fnId, most, callsEach = 1, pairs, delayMs = 0 }: SubjectOptions,
): Promise<Subjects> {
  await using made = new AsyncDisposableStack();
  const toKiln: Target = { origin: kiln.url, path: `/invoke/${fnId}` };
  const hot = await heat(kiln, generator, toKiln, most);
  // Who uses a socket once uses it for one call at a time.
  const sockets = Array.from({ length: callsEach }, () => hot).flat();
  const functions = kiln.functionPids();
  const load = [generator.pid];
  const same = (target: Target) => (clients: number) => Array.from({ length: clients }, () => target);
  const all: Subject[] = [
    {
      name: "function alone",
      targets: (clients) =>
        sockets.slice(0, clients).map((socketPath) => ({ origin: "http://localhost", socketPath, path: "/call" })),
      parties: { function: functions, load },
    },
  ];
  for (const name of pairs) {
    const main = (side: string) => join(bare, `${PAIRS[name]}${side}.ts`);
    const runner = made.use(await startProgram({ main: main("runner"), args: [kiln.pkiDirectory, ...sockets] }));
    const line = delayMs === 0 ? runner : made.use(await startSlowWire(runner.address, delayMs));
    const gateway = made.use(await startProgram({ main: main("gateway"), args: [line.address, kiln.pkiDirectory] }));
    all.push({
      name,
      targets: same({ ...toKiln, origin: `http://${gateway.address}` }),
      parties: { gateway: [gateway.pid], runner: [runner.pid], function: functions, load },
    });
  }
  all.push({
    name: "Kiln",
    targets: same(toKiln),
    parties: { gateway: [kiln.gatewayPid], runner: [kiln.runnerPid], function: functions, load },
  });
  const owned = made.move();
  return { all, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Calls until there is a container for each client: the function says that so many are kept. */
async function heat(kiln: KilnSystem, generator: Generator, target: Target, most: number): Promise<readonly string[]> {
  const job = { targets: [target], headers: {}, requestBytes: 200, warmUpMs: 0, measureMs: 10_000, maxCallsEach: 20 };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await generator.run(job, () => {});
    const sockets = kiln.functionSockets();
    if (sockets.length >= most) return sockets;
    await pause(systemClock, ATTEMPT_EVERY_MS);
  }
  throw new Error(`Cannot have ${most} functions at a time: expected room for them`);
}
