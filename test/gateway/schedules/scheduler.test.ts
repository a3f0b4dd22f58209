import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createLog } from "../../../core/log.ts";
import { startScheduler } from "../../../gateway/schedules/scheduler.ts";
import type { DueTrigger, Schedules, StoredTrigger } from "../../../gateway/store/store.ts";
import { someTurns } from "../../../kiln/testing/fake-runner.ts";
import { databaseKinds, newApp, newFn, newTrigger } from "../../../kiln/testing/store-for-tests.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

const MINUTE = 60_000;
const EVERY_MINUTE = { "kiln/schedule": "* * * * *" };

/** One schedule, in memory: the rules are the store's. */
class OneSchedule implements Schedules {
  nextMs: number | undefined;
  away = false;
  readonly #annotations: StoredTrigger["annotations"];

  constructor(nextMs: number, annotations: StoredTrigger["annotations"]) {
    this.nextMs = nextMs;
    this.#annotations = annotations;
  }

  due(untilMs: number): Promise<readonly DueTrigger[]> {
    if (this.away) return Promise.reject(new Error("away"));
    const { nextMs: dueMs } = this;
    if (dueMs === undefined || dueMs > untilMs) return Promise.resolve([]);
    const fields = { id: "s", appId: "a", fnId: "f", name: "s", type: "schedule", source: "/s" };
    return Promise.resolve([{ ...fields, annotations: this.#annotations, dueMs }]);
  }

  claim(_id: string, dueMs: number, nextMs: number | undefined): Promise<boolean> {
    if (this.nextMs !== dueMs) return Promise.resolve(false);
    this.nextMs = nextMs;
    return Promise.resolve(true);
  }
}

function scheduled(schedules: OneSchedule, startMs = 0, run: () => Promise<void> = () => Promise.resolve()) {
  const clock = new VirtualClock();
  clock.advance(startMs);
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  const runs: number[] = [];
  const noted = (trigger: DueTrigger) => {
    runs.push(trigger.dueMs);
    return run();
  };
  const start = () => startScheduler({ schedules, run: noted, clock, log });
  /** A second at a time, as the scheduler looks. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      await someTurns(3);
    }
  };
  return { start, pass, runs, lines };
}

describe("startScheduler", () => {
  it("runs a schedule each time that it is due, and never before", async () => {
    const { start, pass, runs } = scheduled(new OneSchedule(MINUTE, EVERY_MINUTE));
    await using _ = start();

    await pass(MINUTE - 1_000);
    assert.deepEqual(runs, []);
    await pass(2 * MINUTE + 1_000);
    assert.deepEqual(runs, [MINUTE, 2 * MINUTE, 3 * MINUTE]);
  });

  it("runs it once, however many gateways look", async () => {
    const { start, pass, runs } = scheduled(new OneSchedule(MINUTE, EVERY_MINUTE));
    await using _one = start();
    await using _other = start();
    await using _third = start();

    await pass(2 * MINUTE);

    assert.deepEqual(runs, [MINUTE, 2 * MINUTE]);
  });

  it("skips runs that were missed and says so, or makes up for them with one", async () => {
    const tenLate = 11 * MINUTE;
    const skipping = scheduled(new OneSchedule(MINUTE, EVERY_MINUTE), tenLate);
    const catching = scheduled(new OneSchedule(MINUTE, { ...EVERY_MINUTE, "kiln/missed": "run-once" }), tenLate);
    await using _skipping = skipping.start();
    await using _catching = catching.start();

    await skipping.pass(MINUTE);
    await catching.pass(MINUTE);

    assert.deepEqual(skipping.runs, [tenLate + MINUTE]);
    assert.match(skipping.lines.join(), /Scheduled run was missed.*1970-01-01T00:01:00/);
    assert.deepEqual(catching.runs, [MINUTE, tenLate + MINUTE]);
  });

  it("goes on when a call fails, and when the store was away", async () => {
    const schedule = new OneSchedule(MINUTE, EVERY_MINUTE);
    const { start, pass, runs, lines } = scheduled(schedule, 0, () => Promise.reject(new Error("no runner")));
    await using _ = start();

    schedule.away = true;
    await pass(MINUTE);
    schedule.away = false;
    await pass(MINUTE);

    assert.deepEqual(runs, [MINUTE, 2 * MINUTE]);
    assert.equal(lines.filter((line) => line.includes("Schedules cannot be read")).length, 1);
    assert.equal(lines.filter((line) => line.includes("Scheduled call failed")).length, 2);
  });

  it("takes what it does not understand out, with an error", async () => {
    const schedule = new OneSchedule(MINUTE, { "kiln/schedule": "* * * * *", "kiln/unknown": 1 });
    const { start, pass, runs, lines } = scheduled(schedule);
    await using _ = start();

    await pass(2 * MINUTE);

    assert.deepEqual(runs, []);
    assert.equal(schedule.nextMs, undefined);
    assert.match(lines.join(), /Schedule is not run.*kiln\/unknown/);
  });

  it("ends with the runs that it began, and begins no more", async () => {
    const placed = Promise.withResolvers<void>();
    const { start, pass, runs } = scheduled(new OneSchedule(MINUTE, EVERY_MINUTE), 0, () => placed.promise);
    const scheduler = start();
    await pass(MINUTE);

    let ended = false;
    const ending = scheduler[Symbol.asyncDispose]().then(() => (ended = true));
    await pass(2 * MINUTE);

    assert.equal(ended, false);
    placed.resolve();
    await ending;
    assert.deepEqual(runs, [MINUTE]);
  });
});

for (const { name: database, skip, create } of await databaseKinds()) {
  describe(`schedules on ${database}`, { skip }, () => {
    it("lists what is due, oldest first, and lets one of many gateways have it", async () => {
      await using made = await create();
      await using one = await made.open();
      await using other = await made.open();
      const app = await one.apps.insert(newApp("app"));
      const fn = await one.fns.insert(newFn(app.id, "fn"));
      const schedule = (name: string, nextMs: number) =>
        one.triggers.insert(newTrigger(fn, name, { type: "schedule", nextMs }));
      const [late] = [await schedule("late", 2_000), await schedule("early", 1_000), await schedule("later", 3_000)];
      await one.triggers.insert(newTrigger(fn, "http"));

      const due = await other.schedules.due(2_000, 10);
      assert.deepEqual(
        due.map(({ name, dueMs }) => [name, dueMs]),
        [
          ["early", 1_000],
          ["late", 2_000],
        ],
      );
      assert.equal((await other.schedules.due(2_000, 1)).length, 1);

      const claims = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : other).schedules.claim(late.id, 2_000, 9_000 + i)),
      );
      assert.equal(claims.filter(Boolean).length, 1);
      assert.equal((await one.triggers.get(late.id))?.nextMs, 9_000 + claims.indexOf(true));
      assert.equal((await one.triggers.get(late.id))?.updatedMs, late.updatedMs);
      // A change by the API in between keeps it.
      const renamed = await one.triggers.update(late.id, (current) => ({ ...current, name: "renamed" }));
      assert.equal(await other.schedules.claim(late.id, renamed.nextMs ?? 0, undefined), true);
      assert.equal("nextMs" in ((await one.triggers.get(late.id)) ?? {}), false);
    });
  });
}
