import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { DEFAULTS } from "../../../core/function-spec.ts";
import { functionSettings } from "../../../gateway/functions/function-settings.ts";

describe("functionSettings", () => {
  it("reads every annotation", () => {
    const settings = functionSettings({
      "kiln/tmpfs-size": 32,
      "kiln/cpus": "500m",
      "kiln/on-cancel": "finish",
      "kiln/idempotent": true,
      "kiln/concurrency": 8,
      "kiln/max-calls": 1_000,
      "kiln/min-containers": 1,
      "kiln/max-containers": 4,
      "acme.com/team": "others are none of its business",
    });

    assert.deepEqual(settings, {
      tmpfsMiB: 32,
      cpuMillis: 500,
      onCancel: "finish",
      idempotent: true,
      concurrency: 8,
      maxCalls: 1_000,
      minContainers: 1,
      maxContainers: 4,
    });
  });

  it("takes numbers and truth values that come as text", () => {
    const { concurrency, idempotent } = functionSettings({ "kiln/concurrency": "8", "kiln/idempotent": "true" });

    assert.deepEqual([concurrency, idempotent], [8, true]);
  });

  it("takes the defaults where nothing is said, and a field before an annotation", () => {
    const { concurrency, maxCalls } = functionSettings({ "kiln/concurrency": 8 }, { concurrency: 2 });

    assert.equal(concurrency, 2);
    assert.equal(maxCalls, DEFAULTS.maxCalls);
  });

  for (const [annotations, fault] of [
    [{ "kiln/concurrency": 0 }, "kiln/concurrency is 0, expected an integer 1 to 1000 (calls at the same time)"],
    [{ "kiln/on-cancel": "wait" }, 'kiln/on-cancel is "wait", expected kill or finish'],
    [{ "kiln/cpus": [] }, 'kiln/cpus is [], expected cores such as 0.5 or "500m", at most 1024'],
    [{ "kiln/concurency": 2 }, "kiln/concurency is 2, expected kiln/concurrency"],
    [
      { "kiln/min-containers": 3, "kiln/max-containers": 2 },
      "kiln/min-containers is 3, expected at most max_containers, 2",
    ],
  ] as const) {
    it(`refuses ${JSON.stringify(annotations)} with a 400 that names it`, () => {
      assert.throws(() => functionSettings(annotations), {
        code: "invalid_field",
        status: 400,
        message: `Invalid field: annotations ${fault}`,
      });
    });
  }
});
