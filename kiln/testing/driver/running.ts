import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { probeReport } from "../probe-report.ts";
import { taskFor } from "../task-for.ts";
import type { DriverSubject } from "./driver-subject.ts";

// Everything that a shell, a quoting or a splitting on the way would change.
const AWKWARD = {
  EMPTY: "",
  SPACES: "  a b  ",
  LINES: "one\ntwo\n",
  QUOTED: `"'$HOME \\ $(id) %s`,
  EQUALS: "a=b=c",
  UNICODE: "žluťoučký 🐎",
  "dotted.name-1": "1",
};

export function describeRunning<Options>(subject: DriverSubject<Options>): void {
  describe("a started function", () => {
    it("answers calls on its socket", async () => {
      await using hello = await subject.bench.start(taskFor("hello"));

      const { status, body } = await hello.call({ name: "Kiln" });

      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(body), { message: "Hello, Kiln" });
    });

    it("may be built on Fn's own library", async () => {
      await using fdk = await subject.bench.start(taskFor("fdk", { config: { GREETING: "Ahoj" } }));

      const { status, body } = await fdk.call({ name: "Kiln" });

      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(body), { message: "Ahoj, Kiln", callId: "0" });
    });

    it("has the task's environment, unchanged, and nothing of the runner's", async () => {
      const task = taskFor("probe", { config: AWKWARD });
      await using probe = await subject.bench.start(task);

      const { config } = probeReport(await probe.call());

      const { FN_LISTENER: listener, ...rest } = config;
      const { FN_LISTENER: _, ...wanted } = task.env;
      const own = Object.entries(rest).filter(([name]) => !["PATH", "HOME", "HOSTNAME"].includes(name));
      assert.deepEqual(Object.fromEntries(own), wanted);
      assert.match(listener ?? "", /^unix:\/.*\/lsnr\.sock$/);
    });

    it("is another one at each start of the same task", async () => {
      const task = taskFor("probe");
      await using started = new AsyncDisposableStack();

      const [one, two] = await Promise.all([subject.bench.start(task), subject.bench.start(task)]);
      started.use(one);
      started.use(two);

      const reports = [await one.call(), await two.call(), await one.call()].map(probeReport);
      const [first, second, third] = reports.map(({ probe }) => probe.instance);
      assert.notEqual(first, second);
      assert.equal(first, third);
      assert.notEqual(one.container.id, two.container.id);
    });
  });
}
