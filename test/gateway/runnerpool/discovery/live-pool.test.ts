import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createLog } from "../../../../core/log.ts";
import { livePool } from "../../../../gateway/runnerpool/discovery/live-pool.ts";
import { FoundRunners } from "../../../../gateway/runnerpool/discovery/runner-source.ts";
import type { CapacityNews } from "../../../../gateway/runnerpool/runnerpool.ts";
import type { RunnerAddress } from "../../../../gateway/runnerpool/static-pool.ts";
import { callFor } from "../../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../../kiln/testing/collected-call.ts";
import { FakeRunner } from "../../../../kiln/testing/fake-runner.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";

const { runnerCall } = collectedCall(callFor("fn"));
const at = (address: string, changes: Partial<RunnerAddress> = {}): RunnerAddress => ({
  address,
  certCommonName: "kiln-runner",
  labels: {},
  ...changes,
});

/** A pool of fake runners, and where it hears of them. */
function poolWith(...addresses: readonly string[]) {
  const clock = new VirtualClock();
  const found = new FoundRunners();
  found.found(addresses.map((address) => at(address)));
  const made: FakeRunner[] = [];
  const source = {
    get runners() {
      return found.runners;
    },
    onChange: (changed: () => void) => found.onChange(changed),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const lines: string[] = [];
  const pool = livePool({
    source,
    factory(address, certCommonName, _pki, labels = {}) {
      const runner = new FakeRunner(address);
      runner.labels = { ...labels, certCommonName };
      made.push(runner);
      return runner;
    },
    pki: { ca: "", key: "", cert: "" },
    ejection: { failures: 2, baseMs: 1_000, growth: 2, maxMs: 10_000 },
    clock,
    log: createLog({ write: (line) => void lines.push(line) }),
  });
  const news: CapacityNews["kind"][] = [];
  pool.onCapacity((one) => void news.push(one.kind));
  const members = async () => {
    const runners = await pool.runners(runnerCall, new AbortController().signal);
    return runners.map(({ address }) => address);
  };
  return { clock, found, pool, made, news, members, lines };
}

describe("livePool", () => {
  it("has the runners that its source has, keeps those that stay and ends those that go", async () => {
    const { found, made, members, news } = poolWith("a:1", "b:1");
    const [a, b] = made;

    found.found([at("b:1"), at("c:1", { labels: { group: "gpu" } })]);

    assert.deepEqual(await members(), ["b:1", "c:1"]);
    assert.deepEqual([a?.disposed, b?.disposed, made.length], [true, false, 3]);
    assert.equal(made[2]?.labels["group"], "gpu");
    assert.deepEqual(news, ["members"]);
  });

  it("connects anew where another name is expected in the certificate", async () => {
    const { found, made } = poolWith("a:1");

    found.found([at("a:1", { certCommonName: "other" })]);

    assert.deepEqual(
      made.map(({ disposed, labels }) => [disposed, labels["certCommonName"]]),
      [
        [true, "kiln-runner"],
        [false, "other"],
      ],
    );
  });

  it("leaves out a runner whose calls fail by its fault, and says when it is back", async () => {
    const { clock, made, members, news, lines } = poolWith("a:1", "b:1");

    for (let i = 0; i < 2; i++) made[0]?.ended(runnerCall, "runner_lost");

    assert.deepEqual(await members(), ["b:1"]);
    assert.match(lines.join(""), /Runner left out: its last calls all failed runner=a:1 code=runner_lost ms=1000/);
    clock.advance(1_000);
    assert.deepEqual(await members(), ["a:1", "b:1"]);
    assert.deepEqual(news, ["ended", "members", "ended", "members"]);
  });

  it("does not blame a runner for functions that fail, or for being full", async () => {
    const { made, members } = poolWith("a:1", "b:1");

    for (const code of ["function_failed", "server_busy", "shutting_down", "guard_refused"] as const) {
      for (let i = 0; i < 5; i++) made[0]?.ended(runnerCall, code);
    }

    assert.deepEqual(await members(), ["a:1", "b:1"]);
  });

  it("is ready while one of its runners can be reached", () => {
    const { pool, made } = poolWith("a:1", "b:1");
    for (const runner of made) runner.connected = false;
    assert.deepEqual(pool.readiness(), { ready: false, detail: "0 of 2 runners connected" });
  });

  it("ends all its runners and its timers with itself", async () => {
    const { clock, pool, made } = poolWith("a:1", "b:1");
    for (let i = 0; i < 2; i++) made[0]?.ended(runnerCall, "runner_lost");

    await pool[Symbol.asyncDispose]();

    assert.ok(made.every(({ disposed }) => disposed));
    assert.equal(clock.pending, 0);
  });
});
