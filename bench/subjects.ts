import { join } from "node:path";

import type { Parties } from "./accounts.ts";
import type { KilnSystem } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { Target } from "./load/job.ts";
import { startProgram } from "./program.ts";

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
const ATTEMPTS = 5;

/**
 * Kiln with so many hot containers of one function, and the two bounds, which use those containers' sockets:
 * each of them driven directly, and behind the bare program.
 */
export async function openSubjects(
  kiln: KilnSystem,
  generator: Generator,
  fnId: string,
  most: number,
): Promise<Subjects> {
  await using made = new AsyncDisposableStack();
  const toKiln: Target = { origin: kiln.url, path: `/invoke/${fnId}` };
  const sockets = await heat(kiln, generator, toKiln, most);
  const runner = made.use(await startProgram({ main: join(bare, "runner.ts"), args: [kiln.pkiDirectory, ...sockets] }));
  const gateway = made.use(
    await startProgram({ main: join(bare, "gateway.ts"), args: [runner.address, kiln.pkiDirectory] }),
  );
  const functions = kiln.functionPids();
  const load = [generator.pid];
  const same = (target: Target) => (clients: number) => Array.from({ length: clients }, () => target);
  const direct: Subject = {
    name: "function alone",
    targets: (clients) =>
      sockets.slice(0, clients).map((socketPath) => ({ origin: "http://localhost", socketPath, path: "/call" })),
    parties: { function: functions, load },
  };
  const program: Subject = {
    name: "bare program",
    targets: same({ ...toKiln, origin: `http://${gateway.address}` }),
    parties: { gateway: [gateway.pid], runner: [runner.pid], function: functions, load },
  };
  const whole: Subject = {
    name: "Kiln",
    targets: same(toKiln),
    parties: { gateway: [kiln.gatewayPid], runner: [kiln.runnerPid], function: functions, load },
  };
  const owned = made.move();
  return { all: [direct, program, whole], [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Calls until there is a container for each client. */
async function heat(kiln: KilnSystem, generator: Generator, target: Target, most: number): Promise<readonly string[]> {
  const targets = Array.from({ length: most }, () => target);
  const job = { targets, headers: {}, requestBytes: 200, warmUpMs: 0, measureMs: 10_000, maxCallsEach: 20 };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await generator.run(job, () => {});
    const sockets = kiln.functionSockets();
    if (sockets.length >= most) return sockets;
  }
  throw new Error(`Cannot have ${most} functions at a time: expected room for them, and calls that overlap`);
}
