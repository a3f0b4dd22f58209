import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { SlotBench } from "../../../kiln/testing/slot-bench.ts";

const away = new CallError("docker_unavailable");

describe("SlotTable, while no container can be started", () => {
  it("refuses with the reason what would need one, and evicts nothing for it", () => {
    const bench = new SlotBench({ memoryMiB: 100 });
    bench.warm("a", "c1");
    bench.trouble = away;

    const { acquired } = bench.ask("b");

    assert.deepEqual(acquired, { kind: "refused", reason: away, scope: "this_runner" });
    assert.deepEqual(bench.wanted, []);
    assert.equal(bench.table.keys, 1);
  });

  it("goes on with the containers there are", () => {
    const bench = new SlotBench();
    bench.warm("a", "c1");
    bench.trouble = away;

    const { caller } = bench.ask("a");

    assert.equal(caller.container, "c1");
    bench.release(caller);
  });

  it("does not start a function's minimum either, and does once it can", () => {
    const bench = new SlotBench();
    bench.warm("a", "c1");
    bench.trouble = away;
    bench.release(bench.ask("a", { minContainers: 2 }).caller);
    assert.deepEqual(bench.launches, []);

    bench.trouble = undefined;
    bench.release(bench.ask("a", { minContainers: 2 }).caller);

    assert.equal(bench.launches.length, 1);
  });

  it("tells those that wait for room, which does not come", () => {
    const bench = new SlotBench({ memoryMiB: 100 });
    bench.warm("a", "c1");
    const { caller, acquired } = bench.ask("b");
    assert.equal(acquired.kind, "waiting");
    assert.deepEqual(bench.wanted, ["remove c1: evicted"]);

    bench.trouble = away;
    bench.table.troubled(away);

    assert.equal(caller.reason, away);
    bench.table.gone("c1");
    assert.deepEqual(bench.launches, []);
    assert.equal(bench.table.size, 0);
    assert.deepEqual(bench.resources.free, bench.resources.total);
  });
});
