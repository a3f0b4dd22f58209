import { randomBytes } from "node:crypto";
import { once } from "node:events";

import { pause, systemClock } from "../core/clock.ts";
import { buildExampleImages } from "../examples/functions/build.ts";
import { engineClient } from "../kiln/testing/engine-client.ts";
import { EngineAgent } from "../runner/driver/docker/engine-agent.ts";
import { engineEndpoint } from "../runner/driver/docker/engine-endpoint.ts";
import { connectEngine, type Docker, pingEngine } from "../runner/driver/docker/engine.ts";
import { holderOptions } from "../runner/driver/docker/prefork/holder-options.ts";
import { ensurePauseImage, PAUSE_COMMAND } from "../runner/driver/docker/prefork/pause-image.ts";
import { callOnce } from "./call-once.ts";
import { type ColdStart, type Phase, PHASES } from "./cold-start.ts";
import { type KilnSystem, startKiln } from "./kiln-system.ts";
import { lastCreated } from "./last-created.ts";
import type { BenchOptions } from "./options.ts";
import { rawStart } from "./raw-start.ts";
import { buildStaticImage } from "./static-function.ts";
import { spread } from "./statistics.ts";
import { shownSpread, type Table } from "./table.ts";

const PING_MS = 2_000;
/** To Docker, opened ahead as a runner's are. */
const CONNECTIONS = 10;
const LINE_MS = 5_000;
const HOLDERS_MS = 60_000;
/** Of a function that no round has; who measures few rounds wants no more than a moment's, and for a single one none. */
const COMPILED_AFTER_CALLS = 3_000;
const CALLS_A_ROUND = 330;
const AT_ONCE = 4;
/** What was started is removed, or what it took made up for, before the next starts: longer than a runner puts that off. */
const REST_MS = 1_250;

/**
 * Calls that start a container, phase by phase, with and without a prefork pool, beside nothing but the Docker calls
 * for the same containers: for a function on Node, and for one of some bytes.
 */
export async function measureCold(
  { rounds, seconds, profile }: BenchOptions,
  dockerHost: string | undefined,
): Promise<readonly Table[]> {
  const restMs = Math.min(REST_MS, seconds * 1_000);
  // What a runner saves itself with it is no part of what Docker takes.
  using agent = new EngineAgent({ endpoint: engineEndpoint(dockerHost), ahead: CONNECTIONS, clock: systemClock });
  const docker = connectEngine({ host: dockerHost, agent });
  const version = await pingEngine(docker, PING_MS);
  if (version === undefined)
    return [{ title: "Cold starts: skipped, as no Docker daemon answers", head: [], rows: [] }];
  const { hello } = await buildExampleImages(docker, ["hello"]);
  const tables: Table[] = [];
  for (const [kind, image] of [["static", await buildStaticImage(docker)] as const, ["Node", hello] as const]) {
    if (image === undefined) continue;
    const measured = await inTurns(docker, image, { rounds, restMs, profile, dockerHost });
    tables.push({
      title: `Cold starts of a ${kind} function on Docker ${version}, ${rounds} of each in turns: milliseconds by phase`,
      head: ["phase", ...SUBJECTS],
      rows: [
        ...PHASES.map((phase) => [phase, ...SUBJECTS.map((name) => cell(measured[name], phase))]),
        added(measured),
      ],
    });
  }
  return tables;
}

/** Each of Kiln's is right of its bound. */
const SUBJECTS = ["Docker alone", "Kiln", "Docker alone, joining", "Kiln with pool"] as const;
type Measured = Record<(typeof SUBJECTS)[number], ColdStart[]>;

function cell(starts: readonly ColdStart[], phase: Phase): string {
  const values = starts.map((start) => start[phase]).filter((value) => value !== undefined);
  return values.length === 0 ? "" : shownSpread(values, 1);
}

/** What Kiln takes beside Docker: the difference of medians. */
function added(measured: Measured): readonly string[] {
  const total = (name: keyof Measured) => spread(measured[name].map((start) => start.total ?? 0)).median;
  const difference = (own: keyof Measured, bound: keyof Measured) => (total(own) - total(bound)).toFixed(1);
  return [
    "Kiln adds",
    "",
    difference("Kiln", "Docker alone"),
    "",
    difference("Kiln with pool", "Docker alone, joining"),
  ];
}

interface TurnsOptions {
  readonly rounds: number;
  readonly restMs: number;
  readonly profile: string | undefined;
  readonly dockerHost: string | undefined;
}

async function inTurns(docker: Docker, image: string, options: TurnsOptions): Promise<Measured> {
  const { rounds, restMs } = options;
  await using made = new AsyncDisposableStack();
  const plain = made.use(await coldKiln(docker, image, options, 0));
  // A container keeps its holder for as long as it lives: one of each round, and those that the code was compiled with.
  const pooled = made.use(await coldKiln(docker, image, options, rounds + 1 + AT_ONCE));
  const holder = made.use(await rawHolder(docker));
  const measured: Measured = { "Docker alone": [], Kiln: [], "Docker alone, joining": [], "Kiln with pool": [] };
  for (let round = 0; round <= rounds; round++) {
    const start: Record<keyof Measured, () => Promise<ColdStart>> = {
      "Docker alone": () => rawStart(docker, image),
      Kiln: () => plain.start(round),
      "Docker alone, joining": () => rawStart(docker, image, holder.id),
      "Kiln with pool": () => pooled.start(round),
    };
    for (const name of turnsOf(round)) {
      await pause(systemClock, restMs);
      const one = await start[name]();
      // The first of each finds cold caches that no other does.
      if (round > 0) measured[name].push(one);
    }
  }
  return measured;
}

/** Two and two of a kind. */
const RING: readonly (keyof Measured)[] = ["Docker alone", "Docker alone, joining", "Kiln", "Kiln with pool"];

/**
 * Nobody is always the first, and everybody comes as often after a container that was just removed, for which daemon and
 * kernel have work left, as after one that stays.
 */
function turnsOf(round: number): readonly (keyof Measured)[] {
  const turned = [...RING.slice(round % 4), ...RING.slice(0, round % 4)];
  return round % 2 === 0 ? turned : turned.toReversed();
}

interface ColdKiln extends AsyncDisposable {
  start(round: number): Promise<ColdStart>;
}

/** @param holders - in its prefork pool, all of them ready */
async function coldKiln(
  docker: Docker,
  image: string,
  { rounds, profile, dockerHost }: TurnsOptions,
  holders: number,
): Promise<ColdKiln> {
  const runnerId = `bench-${randomBytes(6).toString("hex")}`;
  const records = new CallRecords();
  await using made = new AsyncDisposableStack();
  const kiln = made.use(
    await startKiln({
      functions: functionsOf(image, rounds + 2),
      profile,
      runnerEnv: {
        FN_DRIVER: "docker",
        FN_RUNNER_ID: runnerId,
        FN_INSTALLATION_ID: runnerId,
        FN_EXPERIMENTAL_PREFORK_POOL_SIZE: String(holders),
        ...(dockerHost === undefined ? {} : { DOCKER_HOST: dockerHost }),
      },
      onGatewayLine: (line) => records.read(line),
    }),
  );
  await holdersReady(docker, runnerId, holders);
  await compile(kiln, `cold-${rounds + 1}`, Math.min(COMPILED_AFTER_CALLS, CALLS_A_ROUND * (rounds - 1)));
  const owned = made.move();
  return {
    async start(round) {
      const began = Date.now();
      const call = await coldCall(kiln, `cold-${round}`, records);
      const { createMs, network } = await lastCreated(docker, runnerId, began);
      if (network.startsWith("container:") !== holders > 0)
        throw new Error(`A container joined ${network} with ${holders} holders`);
      return phasesOf(call, createMs);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A gateway and a runner that have just started would be measured before their code is compiled. */
async function compile({ url }: KilnSystem, fnId: string, mostCalls: number): Promise<void> {
  for (let call = 0; call < mostCalls; call += AT_ONCE) {
    const calls = Array.from({ length: AT_ONCE }, () => fetch(`${url}/invoke/${fnId}`, { method: "POST", body: "{}" }));
    for (const response of await Promise.all(calls)) await response.arrayBuffer();
  }
}

async function holdersReady(docker: Docker, runnerId: string, count: number): Promise<void> {
  const filters = { label: [`kiln.runner=${runnerId}`, "kiln.prefork"], status: ["running"] };
  const end = performance.now() + HOLDERS_MS;
  while ((await docker.listContainers({ filters })).length < count) {
    if (performance.now() > end) throw new Error(`Not all of ${count} prefork holders run`);
    await pause(systemClock, 100);
  }
}

/** A holder without Kiln. */
async function rawHolder(docker: Docker): Promise<{ readonly id: string } & AsyncDisposable> {
  const name = `kiln-bench-holder-${randomBytes(6).toString("hex")}`;
  const program = { image: await ensurePauseImage(engineClient(docker)), command: PAUSE_COMMAND };
  const options = holderOptions(name, "bridge", program, { id: name, runnerId: name, bootId: name });
  const container = await docker.createContainer(options);
  await container.start();
  return {
    id: container.id,
    async [Symbol.asyncDispose]() {
      await container.remove({ force: true });
    },
  };
}

/** One function for each start: a container is never another one's. */
function functionsOf(image: string, count: number): string {
  const ids = Array.from({ length: count }, (_, i) => `cold-${i}`);
  const fns = ids.map(
    (id) => `      - { id: ${id}, name: ${id}, image: "${image}", memory: 64, idle_timeout: 3600 }\n`,
  );
  return `apps:\n  - name: bench\n    fns:\n${fns.join("")}`;
}

async function coldCall({ url }: KilnSystem, fnId: string, records: CallRecords): Promise<ColdCall> {
  const { hostname, port } = new URL(url);
  const asked = performance.now();
  const headers = await callOnce({ hostname, port, path: `/invoke/${fnId}` });
  const total = performance.now() - asked;
  return { ...(await records.of(String(headers["fn-call-id"]))), total };
}

/** A call's record has creating and starting as one: the daemon parts them. */
function phasesOf(
  { total, wait_ms: wait, pull_ms: image, start_ms: both, init_ms: socket, run_ms: run }: ColdCall,
  create: number,
): ColdStart {
  return {
    queue: wait - image - both - socket,
    image,
    create,
    start: both - create,
    socket,
    answer: run,
    rest: total - wait - run,
    total,
  };
}

interface ColdCall extends CallRecord {
  /** From the client's request to the end of its answer. */
  readonly total: number;
}

interface CallRecord {
  readonly wait_ms: number;
  readonly pull_ms: number;
  readonly start_ms: number;
  readonly init_ms: number;
  readonly run_ms: number;
}

/** What the gateway's log says of each call. */
class CallRecords {
  readonly #records = new Map<string, CallRecord>();
  readonly #came = new EventTarget();

  read(line: string): void {
    const entry = JSON.parse(line) as { readonly call_id?: string; readonly message: string } & CallRecord;
    if (entry.message !== "Call finished" || entry.call_id === undefined) return;
    this.#records.set(entry.call_id, entry);
    this.#came.dispatchEvent(new Event("record"));
  }

  async of(callId: string): Promise<CallRecord> {
    const late = new AbortController();
    void pause(systemClock, LINE_MS, late.signal).then(() => late.abort());
    for (;;) {
      const record = this.#records.get(callId);
      if (record !== undefined) {
        late.abort();
        return record;
      }
      await once(this.#came, "record", { signal: late.signal });
    }
  }
}
