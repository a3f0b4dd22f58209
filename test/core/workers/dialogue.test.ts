import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { MetricFamily } from "../../../core/metrics.ts";
import { dialogue } from "../../../core/workers/dialogue.ts";
import { readMessage, type WorkerMessage } from "../../../core/workers/messages.ts";
import type { Vitals } from "../../../core/workers/vitals.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

const CALLS: MetricFamily = { name: "fn_calls", help: "Calls", type: "counter", samples: [["fn_calls", 2]] };

/** Both ends of a channel that carries JSON; `own` is what the far end tells. */
function channel(own: () => Vitals | undefined) {
  const clock = new VirtualClock();
  const sent: WorkerMessage[] = [];
  const carry = (message: WorkerMessage) => {
    sent.push(message);
    return readMessage(JSON.parse(JSON.stringify(message))) ?? assert.fail(`not a message: ${message.kind}`);
  };
  const options = { clock, patienceMs: 1_000 };
  const near = dialogue({ ...options, own: () => undefined, send: (message) => far.heard(carry(message)) });
  const far = dialogue({ ...options, own, send: (message) => near.heard(carry(message)) });
  return { asking: near.other, clock, sent };
}

describe("dialogue", () => {
  it("tells one end what the other knows, and asks once for all who wait", async () => {
    const { asking, sent } = channel(() => ({
      metrics: async () => [CALLS],
      readiness: () => ({ ready: true, detail: "takes calls" }),
    }));

    const answers = await Promise.all([asking.metrics(), asking.metrics(), asking.readiness()]);

    assert.deepEqual(answers, [[CALLS], [CALLS], { ready: true, detail: "takes calls" }]);
    assert.equal(sent.filter(({ kind }) => kind === "ask").length, 2);
    assert.deepEqual(await asking.metrics(), [CALLS]);
    assert.equal(sent.filter(({ kind }) => kind === "ask").length, 3, "an answer is not kept");
  });

  it("says why there is no answer: the other end fails, has not begun, or is silent", async () => {
    const failing = channel(() => ({
      metrics: () => Promise.reject(new Error("it is broken")),
      readiness: () => new Promise(() => {}),
    }));

    await assert.rejects(
      async () => failing.asking.metrics(),
      /^Error: Asked another process for its metrics in vain: it is broken$/,
    );
    await assert.rejects(async () => channel(() => undefined).asking.readiness(), /it has not begun to serve/);
    const silent = assert.rejects(async () => failing.asking.readiness(), /no answer in 1000 ms/);
    failing.clock.advance(1_000);
    await silent;
  });

  it("takes nothing for a message that is none of its own", () => {
    for (const foreign of [undefined, "ready", { kind: "other" }, { cmd: "NODE_" }, { kind: "ready" }]) {
      assert.equal(readMessage(foreign), undefined);
    }
  });
});
