import { randomBytes } from "node:crypto";

import { pause, systemClock } from "../core/clock.ts";
import { connectEngine, type Docker, pingEngine } from "../runner/driver/docker/engine.ts";
import { BUDGET_HEAD, budgetRow, callsPerSecond, ratioOf } from "./budget.ts";
import { CALL_HEAD, callCells } from "./call-table.ts";
import { type KilnSystem, startKiln } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { BenchOptions } from "./options.ts";
import { compile, inTurns } from "./rounds.ts";
import { buildStaticImage } from "./static-function.ts";
import type { Subject } from "./subjects.ts";
import type { Table } from "./table.ts";

const PING_MS = 2_000;
const CLIENTS = 64;
const BODY_BYTES = 200;
const HEATED_MS = 120_000;
const POLL_MS = 250;

/** Idle containers are frozen after the default time, or never. */
const SUBJECTS = { "freezing off": { FN_FREEZE_IDLE_MSECS: "-1" }, "freezing on": { FN_FREEZE_IDLE_MSECS: "50" } };

const functions = (image: string, containers: number) => `
apps:
  - name: bench
    fns:
      - { id: small, name: small, image: "${image}", memory: 32, idle_timeout: 3600, min_containers: ${containers} }
`;

/** What freezing idle containers costs a busy function: the same load with and without, a container for each client. */
export async function measureFreezing(
  options: BenchOptions,
  dockerHost: string | undefined,
  generator: Generator,
): Promise<readonly Table[]> {
  const { rounds, seconds } = options;
  const docker = connectEngine({ host: dockerHost });
  const image = (await pingEngine(docker, PING_MS)) && (await buildStaticImage(docker));
  if (image === undefined)
    return [{ title: "Freezing under load: skipped, as it needs Docker on x86_64", head: [], rows: [] }];
  const clients = Math.min(CLIENTS, Math.max(...options.clients));
  await using made = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const [name, env] of Object.entries(SUBJECTS)) {
    const runnerId = `bench-${randomBytes(6).toString("hex")}`;
    const host: Record<string, string> = dockerHost === undefined ? {} : { DOCKER_HOST: dockerHost };
    const own = { FN_DRIVER: "docker", FN_RUNNER_ID: runnerId, FN_INSTALLATION_ID: runnerId, ...host };
    const { profile, gateway } = options;
    const plan = { functions: functions(image, clients), profile, gateway, runnerEnv: { ...own, ...env } };
    const kiln = made.use(await startKiln(plan));
    await heat(docker, runnerId, kiln, clients);
    subjects.push(subjectOf(name, kiln, generator));
  }
  const load = { headers: {}, requestBytes: BODY_BYTES, warmUpMs: seconds * 300, measureMs: seconds * 1_000 };
  await compile(subjects, generator, clients, load);
  const measured = await inTurns(subjects, generator, rounds, clients, load);
  const [off = [], on = []] = measured.values();
  const ratio = ratioOf(callsPerSecond(on), callsPerSecond(off));
  return [
    {
      title: `${clients} clients, a container for each in Docker, with freezing at its default and without`,
      head: ["what", ...CALL_HEAD],
      rows: [...measured].map(([{ name }, figures]) => [name, ...callCells(figures)]),
    },
    {
      title: "Freezing on against off, median of the rounds' ratios",
      head: BUDGET_HEAD,
      rows: [budgetRow({ what: "calls/s", measured: ratio, limit: 0.95, at: "least" })],
    },
  ];
}

function subjectOf(name: string, kiln: KilnSystem, generator: Generator): Subject {
  const target = { origin: kiln.url, path: "/invoke/small" };
  return {
    name,
    targets: (clients) => Array.from({ length: clients }, () => target),
    parties: { gateway: [kiln.gatewayPid], runner: [kiln.runnerPid], load: [generator.pid] },
  };
}

/** One call starts the first container, and its function's minimum the others. */
async function heat(docker: Docker, runnerId: string, { url }: KilnSystem, containers: number): Promise<void> {
  const response = await fetch(`${url}/invoke/small`, { method: "POST", body: "{}" });
  if (response.status !== 200) throw new Error(`The first call failed: ${await response.text()}`);
  const filters = { label: [`kiln.runner=${runnerId}`] };
  const end = performance.now() + HEATED_MS;
  while ((await docker.listContainers({ filters })).length < containers) {
    if (performance.now() > end) throw new Error(`Cannot have ${containers} containers: expected room for them`);
    await pause(systemClock, POLL_MS);
  }
}
