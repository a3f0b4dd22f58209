import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { pause, systemClock } from "../../../core/clock.ts";
import { eventually } from "../eventually.ts";
import { probeReport } from "../probe-report.ts";
import { taskFor } from "../task-for.ts";
import type { DriverSubject } from "./driver-subject.ts";

const PATIENCE_MS = 10_000;
// A warm call takes some two.
const QUITE_LONG_MS = 300;

export function describeFreezing<Options>(subject: DriverSubject<Options>): void {
  const signal = () => AbortSignal.timeout(PATIENCE_MS);

  describe("a frozen function", () => {
    it("does nothing until it is thawed, and then what it was asked", async () => {
      await using probe = await subject.bench.start(taskFor("probe"));
      const { instance } = probeReport(await probe.call()).probe;

      await probe.container.freeze(signal());
      let answered = false;
      const called = probe.call().finally(() => (answered = true));
      await pause(systemClock, QUITE_LONG_MS);
      assert.equal(answered, false);
      await probe.container.thaw(signal());

      assert.equal(probeReport(await called).probe.instance, instance);
    });

    it("can be frozen again and again", async () => {
      await using probe = await subject.bench.start(taskFor("probe"));
      for (let i = 0; i < 5; i += 1) {
        await probe.container.freeze(signal());
        await probe.container.thaw(signal());
        assert.equal((await probe.call()).status, 200);
      }
    });

    it("is thawed once, however often that is asked for", async () => {
      await using probe = await subject.bench.start(taskFor("probe"));
      const { container } = probe;

      await container.thaw(signal());
      await container.freeze(signal());
      await Promise.all([container.thaw(signal()), container.thaw(signal())]);

      assert.equal((await probe.call()).status, 200);
    });

    it("ends when it is disposed of, and nothing of it is left", async () => {
      await using probe = await subject.bench.start(taskFor("probe"));
      await probe.call();
      await probe.container.freeze(signal());

      await probe.container[Symbol.asyncDispose]();

      assert.deepEqual(await subject.traits.leftovers(probe.place), []);
      assert.equal((await probe.container.exited).exitCode, 137);
    });

    it("ends when it is disposed of while it is being frozen", async () => {
      await using probe = await subject.bench.start(taskFor("probe"));
      await probe.call();
      const freezing = probe.container.freeze(signal()).catch(() => undefined);

      await probe.container[Symbol.asyncDispose]();
      await freezing;

      assert.deepEqual(await subject.traits.leftovers(probe.place), []);
    });

    it("may be killed by somebody else, which is told like any other end", async () => {
      await using probe = await subject.bench.start(taskFor("probe"));
      await probe.call();
      await probe.container.freeze(signal());

      await subject.traits.kill(probe.container, probe.place);

      assert.equal((await probe.container.exited).exitCode, 137);
      await eventually(() => assert.rejects(probe.container.freeze(signal())));
    });
  });
}
