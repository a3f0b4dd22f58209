import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ContainerPlace, DriverHook } from "../../../runner/driver/driver.ts";
import { probeReport } from "../probe-report.ts";
import { taskFor } from "../task-for.ts";
import type { DriverSubject } from "./driver-subject.ts";

export function describeHooks<Options>(subject: DriverSubject<Options>): void {
  const { setEnv } = subject.traits;

  describe("start hooks", () => {
    it("see the task and change the options of that one container", async () => {
      const fromTask: DriverHook<Options> = {
        start: (next) => (start, signal) => {
          setEnv(start.options, "FN_CHEESE", start.task.extensions["cheese"] ?? "none");
          setEnv(start.options, "FN_WINE", "outer");
          return next(start, signal);
        },
      };
      const inner: DriverHook<Options> = {
        start: (next) => (start, signal) => {
          setEnv(start.options, "FN_WINE", "inner");
          return next(start, signal);
        },
      };
      const task = taskFor("probe", { extensions: { cheese: "Tilsit" } });

      await using hooked = await subject.bench.start(task, { hooks: [fromTask, inner] });
      await using plain = await subject.bench.start(task);

      const changed = probeReport(await hooked.call()).config;
      assert.equal(changed["FN_CHEESE"], "Tilsit");
      assert.equal(changed["FN_WINE"], "inner");
      assert.equal(probeReport(await plain.call()).config["FN_CHEESE"], undefined);
    });

    const failing: Record<string, NonNullable<DriverHook<Options>["start"]>> = {
      "before the start": () => async () => {
        throw new Error("no cheese");
      },
      "after the start": (next) => async (start, signal) => {
        await next(start, signal);
        throw new Error("no cheese");
      },
    };
    for (const [when, start] of Object.entries(failing)) {
      it(`that throw ${when} fail it and leave nothing`, async () => {
        const seen: ContainerPlace[] = [];
        const how = { hooks: [{ start }], place: (place: ContainerPlace) => void seen.push(place) };

        await assert.rejects(subject.bench.start(taskFor("hello"), how), { name: "CallError", code: "hook_failed" });

        const [place] = seen;
        assert.ok(place !== undefined);
        assert.deepEqual(await subject.traits.leftovers(place), []);
      });
    }
  });
}
