import { randomBytes } from "node:crypto";
import { once } from "node:events";

import { pause, systemClock } from "../core/clock.ts";
import { buildExampleImages } from "../examples/functions/build.ts";
import { connectEngine, type Docker, pingEngine } from "../runner/driver/docker/engine.ts";
import { type ColdStart, type Phase, PHASES } from "./cold-start.ts";
import { type KilnSystem, startKiln } from "./kiln-system.ts";
import type { BenchOptions } from "./options.ts";
import { rawStart } from "./raw-start.ts";
import { watchStarts } from "./start-events.ts";
import { shownSpread, type Table } from "./table.ts";

const PING_MS = 2_000;
const LINE_MS = 5_000;

/** Calls that start a container, phase by phase, beside nothing but the Docker calls for the same container. */
export async function measureCold(
  { rounds, profile }: BenchOptions,
  dockerHost: string | undefined,
): Promise<readonly Table[]> {
  const docker = connectEngine({ host: dockerHost });
  const version = await pingEngine(docker, PING_MS);
  if (version === undefined)
    return [{ title: "Cold starts: skipped, as no Docker daemon answers", head: [], rows: [] }];
  const { hello } = await buildExampleImages(docker, ["hello"]);
  const measured = await inTurns(docker, hello, rounds, profile, dockerHost);
  const cell = (phase: Phase, starts: readonly ColdStart[]) => {
    const values = starts.map((start) => start[phase]).filter((value) => value !== undefined);
    return values.length === 0 ? "" : shownSpread(values, 1);
  };
  return [
    {
      title: `Cold starts on Docker ${version}, ${rounds} of each in turns: milliseconds by phase`,
      head: ["phase", "Docker alone", "Kiln"],
      rows: PHASES.map((phase) => [phase, cell(phase, measured.raw), cell(phase, measured.kiln)]),
    },
  ];
}

async function inTurns(
  docker: Docker,
  image: string,
  rounds: number,
  profile: string | undefined,
  dockerHost: string | undefined,
): Promise<{ readonly raw: readonly ColdStart[]; readonly kiln: readonly ColdStart[] }> {
  const runnerId = `bench-${randomBytes(6).toString("hex")}`;
  const records = new CallRecords();
  await using kiln = await startKiln({
    functions: functionsOf(image, rounds + 1),
    profile,
    runnerEnv: {
      FN_DRIVER: "docker",
      FN_RUNNER_ID: runnerId,
      FN_INSTALLATION_ID: runnerId,
      ...(dockerHost === undefined ? {} : { DOCKER_HOST: dockerHost }),
    },
    onGatewayLine: (line) => records.read(line),
  });
  await using starts = await watchStarts(docker, runnerId);
  const measured = { raw: [] as ColdStart[], kiln: [] as ColdStart[] };
  for (let round = 0; round <= rounds; round++) {
    const raw = await rawStart(docker, image);
    const own = await kilnStart(kiln, `cold-${round}`, records, () => starts.lastMs());
    // The first of each finds cold caches that no other does.
    if (round === 0) continue;
    measured.raw.push(raw);
    measured.kiln.push(own);
  }
  return measured;
}

/** One function for each start: a container is never another one's. */
function functionsOf(image: string, count: number): string {
  const ids = Array.from({ length: count }, (_, i) => `cold-${i}`);
  const fns = ids.map(
    (id) => `      - { id: ${id}, name: ${id}, image: "${image}", memory: 64, idle_timeout: 3600 }\n`,
  );
  return `apps:\n  - name: bench\n    fns:\n${fns.join("")}`;
}

async function kilnStart(
  { url }: KilnSystem,
  fnId: string,
  records: CallRecords,
  betweenEventsMs: () => Promise<number>,
): Promise<ColdStart> {
  const asked = performance.now();
  const response = await fetch(`${url}/invoke/${fnId}`, { method: "POST", body: "{}" });
  const text = await response.text();
  const total = performance.now() - asked;
  if (response.status !== 200) throw new Error(`A cold call failed: ${text}`);
  const record = await records.of(response.headers.get("fn-call-id") ?? "");
  // The call's record has creating and starting as one; the daemon's events part them.
  const start = await betweenEventsMs();
  const { wait_ms: wait, pull_ms: image, start_ms: both, init_ms: socket, run_ms: run } = record;
  return {
    queue: wait - image - both - socket,
    image,
    create: both - start,
    start,
    socket,
    answer: run,
    rest: total - wait - run,
    total,
  };
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
