import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { dueRun } from "../../../gateway/schedules/due-run.ts";
import { nextRun, scheduleSettings } from "../../../gateway/schedules/schedule-settings.ts";

const iso = (ms: number | undefined) => ms && new Date(ms).toISOString();
const settings = (pattern: string, timeZone = "UTC", missed = "skip") =>
  scheduleSettings({ "kiln/schedule": pattern, "kiln/time-zone": timeZone, "kiln/missed": missed });

describe("nextRun", () => {
  for (const [pattern, zone, after, expected] of [
    ["*/15 * * * *", "UTC", "2026-01-01T00:14:59.999Z", "2026-01-01T00:15:00.000Z"],
    ["*/15 * * * *", "UTC", "2026-01-01T00:15:00.000Z", "2026-01-01T00:30:00.000Z"],
    ["0 3 * * *", "Europe/Paris", "2026-01-01T12:00:00Z", "2026-01-02T02:00:00.000Z"],
    ["0 3 * * *", "Europe/Paris", "2026-07-01T12:00:00Z", "2026-07-02T01:00:00.000Z"],
    // The night in which 2:30 is left out, and the one in which it comes twice.
    ["30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00.000Z"],
    ["30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00.000Z"],
    ["30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00.000Z"],
    ["0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00.000Z"],
  ] as const) {
    it(`of ${pattern} in ${zone} after ${after} is ${expected}`, () => {
      assert.equal(iso(nextRun(settings(pattern, zone), Date.parse(after))), expected);
    });
  }
});

describe("dueRun", () => {
  const due = Date.parse("2026-01-01T03:00:00Z");
  const hours = 3_600_000;

  it("runs what is on time, and says when it is next", () => {
    const { run, nextMs } = dueRun(settings("0 3 * * *"), due, due + 900);

    assert.equal(run, true);
    assert.equal(iso(nextMs), "2026-01-02T03:00:00.000Z");
  });

  it("skips what was missed, or runs once for all of it, as it is told", () => {
    const skipped = dueRun(settings("0 * * * *"), due, due + 5.5 * hours);
    const once = dueRun(settings("0 * * * *", "UTC", "run-once"), due, due + 5.5 * hours);

    assert.equal(skipped.run, false);
    assert.equal(once.run, true);
    for (const { nextMs } of [skipped, once]) assert.equal(iso(nextMs), "2026-01-01T09:00:00.000Z");
  });
});
