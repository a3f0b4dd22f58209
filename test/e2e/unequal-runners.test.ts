import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { overrideCall } from "../../gateway/overrider.ts";
import { withRunnerGroup } from "../../gateway/placement.ts";
import type { ErrorBody } from "../../kiln/testing/error-body.ts";
import { processRunner } from "../../kiln/testing/process-runner.ts";
import { startSystem, type System } from "../../kiln/testing/system.ts";

const FUNCTIONS = `
apps:
  - name: sizes
    fns:
      - { name: small, id: small, image: hello, memory: 64 }
      - { name: large, id: large, image: hello, memory: 300 }
      - { name: giant, id: giant, image: hello, memory: 600 }
`;

describe("a pool of unequal runners", { timeout: 60_000 }, () => {
  let system: System;
  before(async () => {
    system = await startSystem({
      functions: FUNCTIONS,
      runners: 2,
      labels: [{ group: "old" }, { group: "new" }],
      overriders: [
        overrideCall((call, c) => {
          const group = c.req.header("x-group");
          return group === undefined ? call : withRunnerGroup(call, group);
        }),
      ],
      makeRunner: (runnerId) =>
        processRunner({ runnerId, resources: { memoryMiB: runnerId === "runner-1" ? 128 : 512, cpuMillis: 2_000 } }),
    });
  });
  after(() => system[Symbol.asyncDispose]());

  it("runs on the larger one what the smaller can never fit", async () => {
    for (let i = 0; i < 4; i += 1) {
      const { status } = await system.invoke("large", { name: "you" });

      assert.equal(status, 200);
    }
    const [small, large] = system.runners.map((runner) => runner.status());
    assert.equal(small?.handled, 0);
    assert.equal(large?.handled, 4);
  });

  it("runs on a group's runners alone what an overrider sends there", async () => {
    const handled = () => system.runners.map((runner) => runner.status().handled);
    const before = handled();

    const groups = ["old", "new", "old", "old", "old"];
    const answers = await Promise.all(groups.map((group) => system.invoke("small", {}, { "x-group": group })));

    assert.deepEqual(
      answers.map(({ status }) => status),
      groups.map(() => 200),
    );
    assert.deepEqual(
      handled().map((now, index) => now - (before[index] ?? 0)),
      [4, 1],
    );
  });

  it("answers 400 only where no runner of the pool could ever fit it", async () => {
    const { status, json } = await system.invoke("giant", { name: "you" });

    assert.equal(status, 400);
    assert.equal((json() as ErrorBody).code, "resource_too_big");
  });
});
