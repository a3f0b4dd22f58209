import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import { mtlsRunnerFactory } from "../../gateway/runnerpool/mtls-runner.ts";
import type { Runner } from "../../gateway/runnerpool/runnerpool.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { FaultPlan, type FaultMode, type FrameKind } from "../../kiln/testing/frame-fault.ts";
import { frameProxy, type FrameProxy } from "../../kiln/testing/frame-proxy.ts";
import { gatewayProcess, runnerProcess, type MainProcess } from "../../kiln/testing/main-process.ts";
import { callProbe, probeFunctions, type Orders, type ProbeCall } from "../../kiln/testing/probe-calls.ts";

const RUNNERS = ["runner-1", "runner-2"];
const TIMEOUT_S = 1;
const HEADROOM_MS = 100;
const PLACER_MS = 1_000;
const LARGE_BYTES = 2_000_000;
/** When a call must have had its outcome: its deadline, and what a loaded machine needs to say so. */
const OUTCOME_WITHIN_MS = TIMEOUT_S * 1_000 + HEADROOM_MS + PLACER_MS + 2_000;

interface Row {
  readonly kind: FrameKind;
  /** Whose frames hold one of that kind. */
  readonly call: CallKind;
  /** When the call must go to the other runner and succeed: surely nothing of it ran. */
  readonly moves?: FaultMode;
}

type CallKind =
  | "warm call"
  | "cold call"
  | "call with a large body"
  | "call with a large answer"
  | "call whose client leaves"
  | "call for more memory than there is"
  | "call on a runner that is told to stop"
  | "call on a new connection";

const ROWS: readonly Row[] = [
  { kind: "up hello", call: "call on a new connection" },
  { kind: "up offer", call: "warm call" },
  { kind: "up offer", call: "cold call" },
  { kind: "up start", call: "cold call" },
  { kind: "up data", call: "call with a large body" },
  { kind: "up credit", call: "call with a large answer" },
  { kind: "up cancel", call: "call whose client leaves" },
  { kind: "down hello", call: "call on a new connection" },
  { kind: "down refused", call: "call for more memory than there is" },
  { kind: "down pending", call: "cold call", moves: "then cut" },
  { kind: "down accepted", call: "warm call" },
  { kind: "down accepted", call: "cold call", moves: "cut" },
  { kind: "down head", call: "warm call" },
  { kind: "down data", call: "warm call" },
  { kind: "down credit", call: "call with a large body" },
  { kind: "down finished", call: "warm call" },
  { kind: "down finished", call: "cold call" },
  { kind: "down capacity", call: "cold call" },
  { kind: "down draining", call: "call on a runner that is told to stop" },
];
const MODES: readonly FaultMode[] = ["drop", "cut", "then cut"];

const functions = probeFunctions({
  warm: { timeout: TIMEOUT_S },
  huge: { timeout: TIMEOUT_S, memory: 4_096 },
  ...Object.fromEntries(ROWS.flatMap((_, row) => MODES.map((mode) => [coldFn(row, mode), { timeout: TIMEOUT_S }]))),
});

describe("at most once, whatever frame is lost between a gateway and its runners", { timeout: 240_000 }, () => {
  const plan = new FaultPlan();
  const made = new AsyncDisposableStack();
  const runners = new Map<string, MainProcess>();
  const proxies = new Map<string, FrameProxy>();
  /** Past the proxies, for what the runners say of themselves. */
  const observers = new Map<string, Runner>();
  let gateway: MainProcess;
  let url: string;
  let countDir: string;
  let restart: (name: string) => Promise<void>;

  before(async () => {
    countDir = await mkdtemp(join(tmpdir(), "kiln-runs-"));
    made.defer(() => rm(countDir, { recursive: true }));
    const authority = await createAuthority();
    const asGateway = await issue(authority, { name: "kiln-gateway", role: "gateway" });
    const observe = mtlsRunnerFactory({
      gatewayId: "observer",
      version: "0",
      allowNoIsolation: true,
      dialTimeoutMs: 5_000,
      drainMs: 0,
      clock: systemClock,
      log: silentLog,
    });
    const begin = async (name: string, port?: string) => {
      const settings = { FN_MAX_TOTAL_MEMORY_BYTES: String(512 * 2 ** 20), FN_MAX_CONCURRENT_STARTS: "4" };
      const runner = made.use(await runnerProcess(authority, name, port, settings));
      runners.set(name, runner);
      return runner.address;
    };
    restart = async (name) => {
      const port = runners.get(name)?.address.split(":")[1];
      await eventually(() => assert.notEqual(runners.get(name)?.process.exitCode, null, "it has ended"));
      await begin(name, port);
    };
    for (const name of RUNNERS) {
      const address = await begin(name);
      const asRunner = await issue(authority, { name, role: "runner" });
      proxies.set(name, made.use(await frameProxy({ runner: { name, address }, asRunner, asGateway, plan })));
      observers.set(name, made.use(observe(address, name, asGateway)));
    }
    const listed = [...proxies].map(([name, { address }]) => `${name}=${address}`);
    gateway = made.use(
      await gatewayProcess(authority, listed, functions, {
        FN_EXECUTION_HEADROOM: String(HEADROOM_MS),
        // Calls must come to both runners.
        FN_PLACER: "naive",
        FN_PLACER_TIMEOUT_MSECS: String(PLACER_MS),
        FN_LOG_FORMAT: "json",
      }),
    );
    url = `http://${gateway.address}`;
  });
  after(() => made.disposeAsync());

  /** A container of the warm function on each runner, so that the next call finds one whoever gets it. */
  async function warmUp(): Promise<void> {
    const done = new Set<string>();
    await eventually(async () => {
      plan.seen.length = 0;
      assert.equal((await callProbe({ url }, "warm", { isEmptyBody: true })).status, 200);
      const ended = plan.seen.filter(({ kind }) => kind === "down finished").map(({ runner }) => runner);
      const started = plan.seen.some(({ kind }) => kind === "up start");
      if (!started) ended.forEach((runner) => done.add(runner));
      assert.equal(done.size, RUNNERS.length, "both are warm");
    });
  }

  interface Outcome {
    readonly status: number | "reset";
    readonly text: string;
    readonly ms: number;
  }

  async function outcomeOf(fnId: string, orders: Orders, call: ProbeCall = {}): Promise<Outcome> {
    const began = performance.now();
    const calling = callProbe({ url }, fnId, { countDir, ...orders }, call);
    const whole = calling.then(async (response) => ({ status: response.status, text: await response.text() }));
    const { status, text } = await whole.catch(() => ({ status: "reset", text: "" }) as const);
    return { status, text, ms: performance.now() - began };
  }

  /** The call whose frames hold the row's kind. */
  async function callOf({ kind, call }: Row, unused: string): Promise<Outcome> {
    switch (call) {
      case "cold call":
        return outcomeOf(unused, {});
      case "warm call":
      case "call on a new connection":
        return outcomeOf("warm", {});
      case "call with a large body":
        return outcomeOf("warm", {}, { body: Buffer.alloc(LARGE_BYTES) });
      case "call with a large answer":
        return outcomeOf("warm", { outputBytes: LARGE_BYTES });
      case "call for more memory than there is":
        return outcomeOf("huge", {});
      case "call whose client leaves": {
        const leaving = new AbortController();
        const calling = outcomeOf("warm", { sleepTime: 3_000 }, { signal: leaving.signal });
        await eventually(async () => assert.ok((await runsSoFar()).length > 0, "it runs"));
        leaving.abort();
        return calling;
      }
      case "call on a runner that is told to stop": {
        const calling = outcomeOf("warm", { sleepTime: 300 });
        await eventually(() => assert.ok(plan.seen.some(isAccepted), "it runs"));
        for (const { runner } of plan.seen.filter(isAccepted)) runners.get(runner)?.process.kill("SIGTERM");
        const outcome = await calling;
        await eventually(() => assert.ok(!plan.waiting, `a frame "${kind}" was sent`));
        return outcome;
      }
    }
  }

  /** How often each call ran that was made since the last look. */
  async function runsSoFar(): Promise<number[]> {
    const files = await readdir(countDir);
    const texts = await Promise.all(files.map((file) => readFile(join(countDir, file), "utf8")));
    return texts.map((text) => text.split("\n").length - 1);
  }

  async function forgetRuns(): Promise<void> {
    for (const file of await readdir(countDir)) await rm(join(countDir, file));
  }

  function outcomesLogged(): number[] {
    const counts = new Map<string, number>();
    for (const line of gateway
      .output()
      .split("\n")
      .filter((text) => text.includes('"Call '))) {
      const { call_id: id } = JSON.parse(line) as { readonly call_id: string };
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return [...counts.values()];
  }

  ROWS.forEach((row, index) => {
    for (const mode of MODES) {
      it(`${row.kind}, ${mode}: a ${row.call}`, async () => {
        await warmUp();
        await forgetRuns();
        plan.plant({ kind: row.kind, mode });
        if (row.call === "call on a new connection") for (const proxy of proxies.values()) proxy.cut();

        const { status, text, ms } = await callOf(row, coldFn(index, mode));

        await eventually(() => assert.ok(!plan.waiting, `a frame "${row.kind}" was met`));
        const runs = await runsSoFar();
        assert.ok(runs.length <= 1 && runs.every((times) => times === 1), `ran ${runs.join()} times`);
        assert.ok(ms < OUTCOME_WITHIN_MS, `had its outcome ${status} after ${Math.round(ms)} ms`);
        if (status === 200) assert.deepEqual(runs, [1]);
        if (status === 200) assert.ok(text.endsWith("}\n") || text.length === LARGE_BYTES, "all of it");
        if (row.moves === mode) assert.equal(status, 200);
        if (row.call === "call on a runner that is told to stop")
          for (const { runner } of plan.seen.filter(isAccepted)) await restart(runner);
        await nothingHeld();
      });
    }
  });

  async function nothingHeld(): Promise<void> {
    for (const [name, observer] of observers) {
      await eventually(async () => {
        const { active } = await observer.status(new AbortController().signal);
        assert.equal(active, 0, `${name} still has calls`);
      });
    }
    assert.deepEqual(
      outcomesLogged().filter((times) => times !== 1),
      [],
      "calls with another number of outcomes than one",
    );
  }

  it("leaves a gateway and runners that end at once when they are told to", async () => {
    // A session that has lost a frame may wait for it to the end: no connection loses one and goes on.
    for (const proxy of proxies.values()) proxy.cut();
    await warmUp();
    const began = performance.now();

    const all = new Map([["gateway", gateway], ...runners]);
    const ended = [...all].map(async ([name, { process: child }]) => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
      return [name, { code: child.exitCode, inTime: performance.now() - began < 5_000 }] as const;
    });

    const well = [...all.keys()].map((name) => [name, { code: 0, inTime: true }] as const);
    assert.deepEqual(await Promise.all(ended), well, "nobody waited for a call that is not there");
  });
});

/** A function that nobody has called yet. */
function coldFn(row: number, mode: FaultMode): string {
  return `cold-${row}-${MODES.indexOf(mode)}`;
}

function isAccepted({ kind }: { readonly kind: FrameKind }): boolean {
  return kind === "down accepted";
}
