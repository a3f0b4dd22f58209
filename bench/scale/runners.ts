// Shipped runners in one process, each at an address of its own. Their containers are nothing but connections to one
// function, so that any number of them fits on a machine.
// node bench/scale/runners.ts PKI-DIRECTORY SOCKET RUNNERS MEMORY-MIB
import { randomBytes } from "node:crypto";
import process from "node:process";

import { systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { loadPki } from "../../core/pki.ts";
import { pkiFiles } from "../../kiln/pki-files.ts";
import type { Driver } from "../../runner/driver/driver.ts";
import { functionClient } from "../../runner/hot/function-client.ts";
import type { FunctionContact } from "../../runner/hot/launch.ts";
import type { SocketDirectories } from "../../runner/hot/socket-directory.ts";
import { serveRunner } from "../../runner/rpc/server.ts";
import { createRunner, type RunnerLimits } from "../../runner/runner.ts";

const [pkiDirectory = "", socketPath = "", runners = "", memoryMiB = ""] = process.argv.slice(2);

/** As settings have them by default. */
const LIMITS: RunnerLimits = {
  startTimeoutMs: 60_000,
  initTimeoutMs: 5_000,
  maxHeaderBytes: 1_048_576,
  startsAtOnce: 4,
  maxResponseBytes: 0,
  freezeIdleMs: 50,
  slotWaitMs: 5_000,
  mostWaiting: 1_000,
  drainMs: 0,
  removeMs: 30_000,
  freezeTimeoutMs: 5_000,
};

const driver: Driver<object> = {
  name: "connections",
  isolation: "none",
  prepare: () => Promise.resolve(new DisposableStack()),
  options: () => ({}),
  start: ({ place }) => {
    const exit = Promise.withResolvers<{ exitCode: number; outOfMemory: boolean }>();
    return Promise.resolve({
      id: place.id,
      exited: exit.promise,
      stderrTail: () => "",
      freeze: () => Promise.resolve(),
      thaw: () => Promise.resolve(),
      async [Symbol.asyncDispose]() {
        exit.resolve({ exitCode: 0, outOfMemory: false });
      },
    });
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

const contact: FunctionContact = {
  watch: () => ({ ready: () => Promise.resolve(socketPath), [Symbol.dispose]: () => {} }),
  connect: functionClient,
};

let made = 0;
const directories: SocketDirectories = {
  hasLivingPeer: () => Promise.resolve(false),
  async create() {
    const id = `kiln-${++made}`;
    return { id, path: `/nowhere/${id}`, async [Symbol.asyncDispose]() {} };
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

const pki = await loadPki(pkiFiles(pkiDirectory, "runner"));
const addresses: string[] = [];
for (let number = 1; number <= Number(runners); number++) {
  const runner = createRunner({
    identity: { runnerId: `runner-${number}`, bootId: randomBytes(8).toString("hex"), version: "0" },
    driver,
    resources: { memoryMiB: Number(memoryMiB), cpuMillis: 0 },
    directories,
    contact,
    limits: LIMITS,
    host: { clock: systemClock, log: silentLog, metrics: createMetrics() },
  });
  const gatewayIdentities = ["kiln-gateway"];
  const server = await serveRunner({ runner, pki, gatewayIdentities, host: "127.0.0.1", port: 0, log: silentLog });
  addresses.push(`${server.host}:${server.port}`);
}
process.stdout.write(`${JSON.stringify({ address: addresses.join(" ") })}\n`);
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
