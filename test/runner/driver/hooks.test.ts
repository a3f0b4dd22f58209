import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { containerTask } from "../../../core/container-task.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import type { DriverHook, HotContainer, Start } from "../../../runner/driver/driver.ts";
import { wrapStart } from "../../../runner/driver/hooks.ts";

type Options = { Env: string[] };

const signal = new AbortController().signal;
const container: HotContainer = {
  id: "c1",
  exited: new Promise(() => {}),
  stderrTail: () => "",
  freeze: () => Promise.resolve(),
  thaw: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

function starting(hooks: readonly DriverHook<Options>[]) {
  const started: Options[] = [];
  const innermost: Start<Options> = async ({ options }) => {
    started.push(structuredClone(options));
    return container;
  };
  const task = containerTask(callFor("fn"));
  const run = () =>
    wrapStart(innermost, hooks)({ task, place: { id: "c1", socketDirectory: "/s" }, options: { Env: [] } }, signal);
  return { started, run };
}

const adds = (value: string): DriverHook<Options> => ({
  start: (next) => (start, inner) => {
    start.options.Env.push(value);
    return next(start, inner);
  },
});

describe("start hooks", () => {
  it("run in order, the first the outermost, around the driver's start", async () => {
    const order: string[] = [];
    const around = (name: string): DriverHook<Options> => ({
      start: (next) => async (start, inner) => {
        order.push(`${name} before`);
        const hot = await next(start, inner);
        order.push(`${name} after`);
        return hot;
      },
    });

    await starting([around("a"), around("b")]).run();

    assert.deepEqual(order, ["a before", "b before", "b after", "a after"]);
  });

  it("each see the options as the one before left them", async () => {
    const { started, run } = starting([adds("A=1"), {}, adds("B=2")]);

    await run();

    assert.deepEqual(started, [{ Env: ["A=1", "B=2"] }]);
  });

  it("may refuse a start with a code of their own", async () => {
    const { started, run } = starting([
      {
        start: () => () => Promise.reject(new CallError("too_many_requests", "No more today")),
      },
    ]);

    await assert.rejects(run(), (error: unknown) => error instanceof CallError && error.code === "too_many_requests");
    assert.deepEqual(started, []);
  });

  it("are blamed for anything else they throw, at once or later", async () => {
    const cause = new Error("typo");
    const throwing: readonly DriverHook<Options>[] = [
      {
        start: () => () => {
          throw cause;
        },
      },
      { start: () => () => Promise.reject(cause) },
    ];
    for (const hook of throwing) {
      await assert.rejects(
        starting([hook]).run(),
        (error: unknown) => error instanceof CallError && error.code === "hook_failed" && error.cause === cause,
      );
    }
  });

  it("cannot start two containers by calling next twice", async () => {
    const { started, run } = starting([
      {
        start: (next) => async (start, inner) => {
          await next(start, inner);
          return next(start, inner);
        },
      },
    ]);

    await assert.rejects(run(), /next\(\) twice/);
    assert.equal(started.length, 1);
  });
});
