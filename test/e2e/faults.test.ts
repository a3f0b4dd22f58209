import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";

import { FAULTS } from "../../kiln/faults/faults.ts";
import { namespacesOrSkip } from "../../kiln/testing/two-machines.ts";

const OPTIONS = { seconds: 3, clients: 64 };
const noNamespaces = await namespacesOrSkip();

/** What clients may see of each fault beside good answers. */
const ALLOWED: Readonly<Record<string, RegExp>> = {
  "kill -9 the only runner, again and again": /^502 runner_lost$/,
  "kill -9 one of three runners, again and again": /^502 runner_lost$/,
  // The gateway is the one who would say so.
  "kill -9 one of two gateways, again and again": /^ECONNRESET$|^cut after its head/,
  "SIGSTOP one of two runners": /^502 runner_lost$/,
  "drop and delay packets between the gateway's machine and the runner's": /^502 runner_lost$|^503 runner_unreachable$/,
  "eight readers that never read": /^none$/,
};

/** The short form of `npm run faults`. */
describe("64 clients, while faults befall real processes", { timeout: 300_000 }, () => {
  for (const [name, fault] of Object.entries(FAULTS)) {
    const skip = name.startsWith("drop") ? noNamespaces : false;
    it(`${name}: no call runs twice, and each has an outcome`, { skip }, async (t: TestContext) => {
      const { calls, outcomes, ran, ranTwice, unanswered } = await fault(OPTIONS);

      t.diagnostic(`${calls} calls, ${ran} ran: ${JSON.stringify(outcomes)}`);
      assert.equal(ranTwice, 0);
      assert.equal(unanswered, 0);
      assert.ok((outcomes["200"] ?? 0) >= OPTIONS.clients / 2, "calls go on");
      const strange = Object.keys(outcomes).filter((outcome) => outcome !== "200" && !ALLOWED[name]?.test(outcome));
      assert.deepEqual(strange, []);
    });
  }
});
