import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { eventually } from "../eventually.ts";
import { taskFor } from "../task-for.ts";
import type { DriverSubject } from "./driver-subject.ts";

export function describeEndings<Options>(subject: DriverSubject<Options>): void {
  describe("an end", () => {
    it("is told with the exit code and the last words", async () => {
      await using probe = await subject.bench.start(taskFor("probe", { config: { PROBE_LISTEN: "sideways" } }));

      const exit = await probe.container.exited;

      assert.deepEqual(exit, { exitCode: 2, outOfMemory: false });
      assert.match(probe.container.stderrTail(), /^Cannot listen: PROBE_LISTEN is "sideways"/);
    });

    it("is told for a function that exits without a word", async () => {
      await using probe = await subject.bench.start(taskFor("probe", { config: { ENABLE_INIT_EXIT: "42" } }));

      const exit = await probe.container.exited;

      assert.deepEqual(exit, { exitCode: 42, outOfMemory: false });
      assert.equal(probe.container.stderrTail(), "");
    });

    it("keeps the last 4 KiB of stderr and no more", async () => {
      const lines = Array.from({ length: 1_250 }, (_, n) => `${String(n).padEnd(79, ".")}\n`);
      await using probe = await subject.bench.start(taskFor("probe"));

      await probe.call({ stderrBytes: 100_000 });

      // A Node that exits at once may not have written all of it, so it is looked at while it lives.
      await eventually(() => {
        const tail = probe.container.stderrTail();
        assert.ok(tail.length > 4_000 && tail.length <= 4_096, `${tail.length} bytes`);
        assert.ok(lines.join("").endsWith(tail), tail);
      });
    });

    it("is told when somebody else kills it, and not taken for a lack of memory", async () => {
      await using probe = await subject.bench.start(taskFor("probe"));
      await probe.call();

      await subject.traits.kill(probe.container, probe.place);

      assert.deepEqual(await probe.container.exited, { exitCode: 137, outOfMemory: false });
    });

    it("comes by force and is complete when the disposal is over, however often that is asked for", async () => {
      await using probe = await subject.bench.start(taskFor("probe", { config: { PROBE_IGNORE_SIGTERM: "1" } }));
      await probe.call();

      const { container, place } = probe;
      await Promise.all([container[Symbol.asyncDispose](), container[Symbol.asyncDispose]()]);

      assert.deepEqual(await subject.traits.leftovers(place), []);
      assert.equal((await container.exited).exitCode, 137);
      await container[Symbol.asyncDispose]();
    });

    it("leaves nothing of a function that has not begun to listen", async () => {
      const config = { ENABLE_INIT_DELAY_MSEC: "60000" };
      const probe = await subject.bench.start(taskFor("probe", { config }));

      await probe[Symbol.asyncDispose]();

      assert.deepEqual(await subject.traits.leftovers(probe.place), []);
    });

    it("leaves nothing of a function that ended by itself", async () => {
      const probe = await subject.bench.start(taskFor("probe", { config: { ENABLE_INIT_EXIT: "1" } }));
      await probe.container.exited;

      await probe[Symbol.asyncDispose]();

      assert.deepEqual(await subject.traits.leftovers(probe.place), []);
    });
  });
}
