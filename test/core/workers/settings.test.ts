import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { restartDelayMs, workerCount } from "../../../core/workers/settings.ts";

describe("workerCount", () => {
  it("takes the option before the setting", () => {
    assert.equal(workerCount(undefined, { FN_WORKERS: 3 }), 3);
    assert.equal(workerCount("2", { FN_WORKERS: 3 }), 2);
  });

  it("names an option that is no count, and what was expected", () => {
    for (const bad of ["0", "x", "65", "1.5", "", "-1"]) {
      assert.throws(() => workerCount(bad, { FN_WORKERS: 1 }), {
        message: `--workers is ${JSON.stringify(bad)}, expected an integer 1 to 64`,
      });
    }
  });
});

describe("restartDelayMs", () => {
  it("doubles up to its bound, however often", () => {
    assert.deepEqual(
      [0, 1, 2, 6, 7, 1_000_000].map((ends) => restartDelayMs(ends, 10_000)),
      [100, 200, 400, 6_400, 10_000, 10_000],
    );
  });
});
