import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { silentLog } from "../../../../core/log.ts";
import { mtlsRunnerFactory } from "../../../../gateway/runnerpool/mtls-runner.ts";
import { createPlacer } from "../../../../gateway/runnerpool/placers/create-placer.ts";
import { poolOf } from "../../../../gateway/runnerpool/static-pool.ts";
import { chance } from "../../../../kiln/fleet/chance.ts";
import { createFleet, type Fleet } from "../../../../kiln/fleet/fleet.ts";
import { callFor } from "../../../../kiln/testing/call-for.ts";
import { collectedCall, type CollectedCall } from "../../../../kiln/testing/collected-call.ts";
import { functionFor } from "../../../../kiln/testing/fake-functions.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";

const never = new AbortController().signal;
const LATENCY_MS = 1;
/** What it takes to ask both runners; who has heard nothing after that waits. */
const ASKING_MS = 4 * LATENCY_MS;
/** So late that only news can have woken a call in time. */
const LATE_MS = 5_000;
/** How often a runner tells of its capacity. */
const CAPACITY_ROUND_MS = 50;

/** A gateway's placer and pool for the fleet's runners, beside the fleet's own. */
function anotherGateway({ clock, runners }: Fleet, random: () => number, retryDelayMs = LATE_MS) {
  const factory = mtlsRunnerFactory({
    gatewayId: "another",
    version: "0",
    allowNoIsolation: true,
    dialTimeoutMs: 1_000,
    drainMs: 1_000,
    clock,
    log: silentLog,
    jitter: random,
    open(link) {
      const machine = runners.find(({ address }) => address === link.address);
      assert.ok(machine !== undefined);
      return machine.dial(link);
    },
  });
  const pool = poolOf(runners.map(({ address }) => factory(address, "kiln-runner", { ca: "", key: "", cert: "" })));
  const timeouts = { timeoutMs: 60_000, detachedTimeoutMs: 60_000, retryDelayMs };
  return { pool, placer: createPlacer({ clock, random, ...timeouts }) };
}

describe("two gateways that share runners", () => {
  for (const seed of [1, 2, 3]) {
    it(`leave no call waiting for longer than a capacity round while a slot is free (seed ${seed})`, async () => {
      const chosen = chance(seed);
      const clock = new VirtualClock();
      await using fleet = await createFleet({
        clock,
        runners: 2,
        functions: {
          async fn(request) {
            await request.sleep(5 + chosen.below(60));
            return "";
          },
        },
        resources: { memoryMiB: 256, cpuMillis: 1_000 },
        network: { latencyMs: () => LATENCY_MS },
      });
      const gateways = [anotherGateway(fleet, chosen.next), anotherGateway(fleet, chosen.next)];
      await clock.run(10);
      const { image } = functionFor("fn").fn;
      const calls = new Map<CollectedCall, number>();
      const client = async (index: number) => {
        const { placer, pool } = gateways[index % 2] ?? gateways[0] ?? assert.fail();
        for (let i = 0; i < 20; i++) {
          const one = collectedCall(callFor("fn", { image, memoryMiB: 128 }));
          calls.set(one, clock.now());
          await placer.place(one.runnerCall, pool, never);
          await one.answer;
          calls.delete(one);
        }
      };
      const clients = Promise.all(Array.from({ length: 10 }, (_, index) => client(index)));

      let over = false;
      void clients.then(() => (over = true));
      // For how long each runner's slots are free. Which of them is taken makes no difference, so the oldest counts as it.
      const freeMs = fleet.runners.map((): number[] => []);
      let longest = 0;
      for (let ms = 0; !over && ms < 60_000; ms++) {
        await clock.run(1);
        const waiting = [...calls].some(([{ heard }, since]) => heard.length === 0 && clock.now() - since > ASKING_MS);
        for (const [i, { runner }] of fleet.runners.entries()) {
          const free = Object.values(runner.hello().capacity.idle).reduce((sum, count) => sum + count, 0);
          const before = freeMs[i] ?? [];
          const kept = waiting ? before.slice(Math.max(0, before.length - free)).map((age) => age + 1) : [];
          freeMs[i] = [...kept, ...Array.from({ length: free - kept.length }, () => 0)];
          longest = Math.max(longest, ...(freeMs[i] ?? []));
        }
      }

      assert.ok(over, "all calls were served");
      assert.ok(longest <= CAPACITY_ROUND_MS + 4 * LATENCY_MS, `a slot was free for ${longest} ms`);
      await clock.until(Promise.all(gateways.map(({ pool }) => pool[Symbol.asyncDispose]())));
    });
  }

  it("are served in turn, however many calls the one has", async () => {
    const RUN_MS = 10;
    const chosen = chance(1);
    const clock = new VirtualClock();
    await using fleet = await createFleet({
      clock,
      runners: 1,
      functions: {
        async fn(request) {
          await request.sleep(RUN_MS);
          return "";
        },
      },
      resources: { memoryMiB: 128, cpuMillis: 1_000 },
      network: { latencyMs: () => LATENCY_MS },
    });
    const [many, few] = [0, 1].map(() => anotherGateway(fleet, chosen.next, 10));
    assert.ok(many !== undefined && few !== undefined);
    await clock.run(10);
    const { image } = functionFor("fn").fn;
    let over = false;
    const client = async ({ placer, pool }: typeof many, took: number[]) => {
      while (!over) {
        const { runnerCall, answer } = collectedCall(callFor("fn", { image, memoryMiB: 128 }));
        const began = clock.now();
        await placer.place(runnerCall, pool, never);
        await answer;
        took.push(clock.now() - began);
      }
    };
    const took: number[] = [];
    const clients = Array.from({ length: 60 }, () => client(many, []));
    // By then it is known how long the function's calls take.
    await clock.run(1_000);
    clients.push(client(few, took));

    await clock.run(2_000);
    over = true;
    await clock.until(Promise.all(clients));

    assert.ok(took.length > 40, `${took.length} calls`);
    const longest = Math.max(...took);
    assert.ok(longest < 10 * RUN_MS, `a call took ${longest} ms`);
    await clock.until(Promise.all([many, few].map(({ pool }) => pool[Symbol.asyncDispose]())));
  });
});
