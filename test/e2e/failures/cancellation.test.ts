import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { systemClock, pause } from "../../../core/clock.ts";
import { gatewayProcess } from "../../../kiln/testing/main-process.ts";
import {
  assertFailure,
  callProbe,
  probeFunctions,
  type ExpectedFailure,
  type Orders,
  type ProbeFields,
} from "../../../kiln/testing/probe-calls.ts";
import { slowClient, wholeAnswer, type SlowClient } from "../../../kiln/testing/slow-client.ts";
import { startSystem, type System, type SystemOptions } from "../../../kiln/testing/system.ts";

type StageName = "queued" | "starting" | "sending" | "running" | "answering";

interface Stage {
  readonly name: StageName;
  readonly fnId: "warm" | "slow-start" | "other";
  readonly orders: Orders;
  /** The request body is on its way as long as the call is. */
  readonly streams?: true;
}

const LONG_MS = 20_000;
const LONG_BODY = { outputBytes: 1_000_000, chunkBytes: 1_000, chunkDelayMs: 20 };

const STAGES: readonly Stage[] = [
  { name: "queued", fnId: "other", orders: {} },
  { name: "starting", fnId: "slow-start", orders: {} },
  { name: "sending", fnId: "warm", orders: {}, streams: true },
  { name: "running", fnId: "warm", orders: { sleepTime: LONG_MS } },
  { name: "answering", fnId: "warm", orders: LONG_BODY },
];

const TIMEOUT_S = 2;
const functionsFor = (fields: ProbeFields) =>
  probeFunctions({
    warm: fields,
    "slow-start": { ...fields, config: { ENABLE_INIT_DELAY_MSEC: String(LONG_MS) } },
    other: fields,
  });

/** One runner with room for one container, so that a second call has to wait at the gateway. */
function systemFor(options: Partial<SystemOptions> = {}): Promise<System> {
  return startSystem({ functions: functionsFor({ timeout: 60 }), memoryMiB: 64, ...options });
}

/** A call that has come to its stage, on a function that is its process alone. */
async function callAt(stage: Stage, system: System, url = system.url): Promise<{ client: SlowClient; pid?: number }> {
  const pid = stage.name === "starting" ? undefined : await pidOf({ url });
  const blocker = stage.name === "queued" ? slowClient(url, "warm", { sleepTime: LONG_MS }) : undefined;
  if (blocker !== undefined) await soon(() => activeCalls(system) === 1, "the blocker runs");
  const client = slowClient(url, stage.fnId, stage.orders, stage);
  if (stage.streams) await keepSending(client);
  if (stage.name === "queued") await pause(systemClock, 100);
  else await soon(() => activeCalls(system) === 1, "the call is on the runner");
  if (stage.name === "answering") (await client.answer)?.resume();
  return pid === undefined ? { client } : { client, pid };
}

/** Pieces of a body as long as somebody takes them. */
async function keepSending(client: SlowClient): Promise<void> {
  client.send("x");
  const timer = setInterval(() => client.send("x"), 20);
  timer.unref();
  void client.answer.finally(() => clearInterval(timer));
  await pause(systemClock, 50);
}

async function pidOf(system: { readonly url: string }): Promise<number> {
  const response = await callProbe(system, "warm");
  const { probe } = (await response.json()) as { readonly probe: { readonly pid: number } };
  return probe.pid;
}

function activeCalls({ runners }: System): number {
  return runners.reduce((sum, runner) => sum + runner.status().active, 0);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until it is so, for a second and no longer. */
async function soon(check: () => boolean, what: string): Promise<void> {
  const until = performance.now() + 1_000;
  while (!check()) {
    assert.ok(performance.now() < until, `not within a second: ${what}`);
    await pause(systemClock, 5);
  }
}

/** Nothing of the call is left on the runner, and its container is gone where it had one to itself. */
async function endsInTheRunner(system: System, stage: Stage, pid: number | undefined): Promise<void> {
  await soon(() => activeCalls(system) === 0, `no ${stage.name} call on the runner`);
  if (pid !== undefined) await soon(() => !isAlive(pid), "its container is gone");
}

describe("a client that leaves", { concurrency: 3, timeout: 60_000 }, () => {
  for (const stage of STAGES.filter(({ name }) => name !== "queued")) {
    it(`ends its call within a second: ${stage.name}`, async () => {
      await using system = await systemFor();
      const { client, pid } = await callAt(stage, system);

      client.leave();

      await endsInTheRunner(system, stage, pid);
    });
  }

  it("ends its call within a second: queued, and no runner hears of it when there is room again", async () => {
    await using system = await systemFor();
    const [stage] = STAGES;
    assert.ok(stage !== undefined);
    const blocker = callProbe(system, "warm", { sleepTime: 700 });
    await soon(() => activeCalls(system) === 1, "the blocker runs");
    const client = slowClient(system.url, stage.fnId, stage.orders);
    await pause(systemClock, 200);

    client.leave();

    assert.equal((await blocker).status, 200);
    const { received, handled } = system.runners[0]?.status() ?? {};
    await pause(systemClock, 300);
    assert.deepEqual(system.runners[0]?.status(), { draining: false, active: 0, received, handled });
  });

  for (const stage of STAGES.filter(({ name }) => name === "running" || name === "answering")) {
    it(`lets its call run on where the function says onCancel: finish, and keeps the container: ${stage.name}`, async () => {
      await using system = await systemFor({ functions: functionsFor({ timeout: 60, on_cancel: "finish" }) });
      const orders = stage.name === "running" ? { sleepTime: 700 } : { ...LONG_BODY, outputBytes: 35_000 };
      const { client, pid } = await callAt({ ...stage, orders }, system);

      client.leave();
      await pause(systemClock, 200);

      assert.equal(activeCalls(system), 1, "it still runs");
      await soon(() => activeCalls(system) === 0, "it has ended by itself");
      const response = await callProbe(system, "warm");
      const { probe } = (await response.json()) as { probe: { pid: number; abandoned: number; served: number } };
      assert.deepEqual([probe.pid, probe.abandoned, probe.served], [pid, 0, 3]);
    });
  }
});

describe("a deadline", { concurrency: 3, timeout: 60_000 }, () => {
  const timedOut = (message: RegExp): ExpectedFailure => ({
    status: 504,
    code: "call_timeout",
    component: "function",
    message,
  });
  const OUTCOMES: Readonly<Record<StageName, ExpectedFailure | "reset">> = {
    queued: {
      status: 503,
      code: "server_busy",
      component: "gateway",
      message: /no runner took the call in 400 ms/,
    },
    starting: timedOut(/the call's deadline .*passed.* \(\d+ ms .*\)$/),
    sending: timedOut(/the function's timeout of 2000 ms passed \(\d+ ms waiting, 2\d\d\d ms running\)$/),
    running: timedOut(/the function's timeout of 2000 ms passed \(\d+ ms waiting, 2\d\d\d ms running\)$/),
    answering: "reset",
  };

  for (const stage of STAGES) {
    const outcome = OUTCOMES[stage.name];
    const what = outcome === "reset" ? "a reset" : `${outcome.status}`;
    it(`ends the call within a second, with ${what}: ${stage.name}`, async () => {
      const gatewayLimits = { placerTimeoutMs: 400, headroomMs: 100 };
      await using system = await systemFor({ functions: functionsFor({ timeout: TIMEOUT_S }), gatewayLimits });
      const { client, pid } = await callAt(stage, system);

      const response = await wholeAnswer(client);

      if (outcome === "reset") assert.equal(response, undefined);
      else await assertFailure(response ?? Response.error(), outcome);
      if (stage.name !== "queued") await endsInTheRunner(system, stage, pid);
    });
  }
});

describe("a runner's drain", { concurrency: 3, timeout: 60_000 }, () => {
  const stopped: ExpectedFailure = { status: 503, code: "shutting_down", component: "gateway" };
  for (const stage of STAGES.filter(({ name }) => name !== "queued")) {
    const outcome = stage.name === "answering" ? "reset" : stopped;
    it(`ends the call within a second of its end: ${stage.name}`, async () => {
      const gatewayLimits = { placerTimeoutMs: 400 };
      await using system = await systemFor({ runnerLimits: { drainMs: 100 }, gatewayLimits });
      const { client, pid } = await callAt(stage, system);

      const draining = system.runners[0]?.[Symbol.asyncDispose]();

      await endsInTheRunner(system, stage, pid);
      await draining;
      const response = await wholeAnswer(client);
      if (outcome === "reset") assert.equal(response, undefined);
      else await assertFailure(response ?? Response.error(), outcome);
    });
  }

  it("sends a call whose container was still starting to another runner: nothing of it had run", async () => {
    const functions = probeFunctions({ probe: { config: { ENABLE_INIT_DELAY_MSEC: "600" } } });
    await using system = await startSystem({ functions, runners: 2, runnerLimits: { drainMs: 50 } });
    const calling = callProbe(system, "probe", { isEmptyBody: true });
    await soon(() => activeCalls(system) === 1, "a runner has the call");
    const runner = system.runners.find((one) => one.status().active === 1);

    await runner?.[Symbol.asyncDispose]();

    const response = await calling;
    assert.equal(response.status, 200, await response.text());
  });
});

describe("a gateway's drain", { concurrency: 3, timeout: 60_000 }, () => {
  const stopped: ExpectedFailure = { status: 503, code: "shutting_down", component: "gateway" };
  for (const stage of STAGES) {
    const outcome = stage.name === "answering" ? "reset" : stopped;
    it(`ends the call within a second of its end: ${stage.name}`, async () => {
      await using system = await systemFor({ gatewayDrainMs: 100 });
      const { client, pid } = await callAt(stage, system);

      const stopping = system.stopGateway();

      const response = await wholeAnswer(client);
      if (outcome === "reset") assert.equal(response, undefined);
      else await assertFailure(response ?? Response.error(), outcome);
      await endsInTheRunner(system, stage, pid);
      await stopping;
    });
  }
});

describe("a gateway's death", { timeout: 60_000 }, () => {
  for (const stage of STAGES) {
    it(`ends the call within a second: ${stage.name}`, async () => {
      const functions = functionsFor({ timeout: 60 });
      await using system = await systemFor({ functions });
      const runners = system.members.map(({ address }, i) => `runner-${i + 1}=${address}`);
      await using gateway = await gatewayProcess(system.authority, runners, functions);
      const { pid } = await callAt(stage, system, `http://${gateway.address}`);

      await gateway.kill();

      await endsInTheRunner(system, stage, pid);
    });
  }
});
