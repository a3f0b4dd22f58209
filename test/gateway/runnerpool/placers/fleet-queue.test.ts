import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createPlacer, type PlacerName } from "../../../../gateway/runnerpool/placers/create-placer.ts";
import { createFleet, type Fleet } from "../../../../kiln/fleet/fleet.ts";
import type { SimulatedRequest } from "../../../../kiln/fleet/simulated-function.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";

const TIMEOUTS = { timeoutMs: 30_000, detachedTimeoutMs: 30_000, retryDelayMs: 10 };

/** Clients that call one function after another until the clock says so; how many calls ended well. */
async function callsIn(ms: number, fleet: Fleet, functions: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  const until = fleet.clock.now() + ms;
  const client = async (fnId: string) => {
    while (fleet.clock.now() < until) {
      const { status, text } = await fleet.send(fnId);
      assert.equal(status, 200, text());
      counts.set(fnId, (counts.get(fnId) ?? 0) + 1);
    }
  };
  await fleet.clock.until(Promise.all(functions.map(client)));
  return counts;
}

const takes = (ms: number) => async (request: SimulatedRequest) => {
  await request.sleep(ms);
  return "";
};

const many = (fnId: string, clients: number) => Array.from({ length: clients }, () => fnId);

describe("calls that wait, in a fleet", () => {
  for (const placer of ["naive", "warm-first"] as const satisfies readonly PlacerName[]) {
    it(`leave no container idle: 64 clients keep two runners' four busy (${placer})`, async () => {
      const clock = new VirtualClock();
      await using fleet = await createFleet({
        clock,
        runners: 2,
        functions: { fn: { spec: { memoryMiB: 128 }, handler: takes(10) } },
        resources: { memoryMiB: 256, cpuMillis: 1_000 },
        placer: createPlacer({ placer, clock, ...TIMEOUTS }),
        network: { latencyMs: () => 0.2 },
      });

      const calls = (await callsIn(2_000, fleet, many("fn", 64))).get("fn") ?? 0;

      // Four containers run a call every 10 ms and two crossings of the line.
      assert.ok(calls > 4 * (2_000 / 10.8) * 0.95, `${calls} calls`);
    });
  }

  it("share what there is between functions, without a start for every call", async () => {
    const clock = new VirtualClock();
    const starts = { many: 0, few: 0 };
    const fnOf = (name: keyof typeof starts) => ({
      spec: { memoryMiB: 128 },
      handler: takes(10),
      start: () => {
        starts[name] += 1;
        return { initMs: 100 };
      },
    });
    await using fleet = await createFleet({
      clock,
      functions: { many: fnOf("many"), few: fnOf("few") },
      resources: { memoryMiB: 512, cpuMillis: 4_000 },
      placer: createPlacer({ clock, ...TIMEOUTS }),
    });

    const calls = await callsIn(4_000, fleet, [...many("many", 40), ...many("few", 6)]);

    const [ofMany = 0, ofFew = 0] = [calls.get("many"), calls.get("few")];
    assert.ok(ofFew > 0.3 * ofMany, `${ofFew} calls of few, ${ofMany} of many`);
    assert.ok(ofMany + ofFew > 800, `${ofMany + ofFew} calls`);
    const allStarts = starts.many + starts.few;
    assert.ok(allStarts < (ofMany + ofFew) / 20, `${allStarts} starts for ${ofMany + ofFew} calls`);
  });
});

describe("calls of a function whose containers run many, in a fleet", () => {
  /** Five runners, and how often one of them started a container, which takes 400 ms. */
  async function fiveRunners() {
    const clock = new VirtualClock();
    const started = { times: 0 };
    const start = () => {
      started.times += 1;
      return { initMs: 400 };
    };
    const fleet = await createFleet({
      clock,
      runners: 5,
      functions: { fn: { spec: { concurrency: 64 }, handler: takes(20), start } },
      placer: createPlacer({ clock, ...TIMEOUTS }),
    });
    return { fleet, clock, started };
  }

  it("share an idle one, and no other runner starts one for them", async () => {
    const { clock, started, ...made } = await fiveRunners();
    await using fleet = made.fleet;
    await fleet.call("fn");
    // Until its runner has told of the container.
    await clock.run(200);

    const calls = await clock.until(Promise.all(many("fn", 16).map((fnId) => fleet.send(fnId))));

    assert.ok(calls.every(({ status }) => status === 200));
    assert.equal(started.times, 1);
  });

  it("share the one that is started for the first of them", async () => {
    const { clock, started, ...made } = await fiveRunners();
    await using fleet = made.fleet;
    const sent: ReturnType<Fleet["send"]>[] = [];
    // At once, and later than its runner tells.
    for (const fnId of many("fn", 30)) {
      sent.push(fleet.send(fnId));
      if (sent.length > 10) await clock.run(10);
    }

    const calls = await clock.until(Promise.all(sent));

    assert.ok(calls.every(({ status }) => status === 200));
    assert.equal(started.times, 1);
  });
});
