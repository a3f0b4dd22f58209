import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { type ProbeReport, probeReport } from "../probe-report.ts";
import { taskFor } from "../task-for.ts";
import type { BenchFunction } from "./driver-bench.ts";
import type { DriverSubject } from "./driver-subject.ts";

const MIB = 1_048_576;
const NO_CAPABILITIES = "0000000000000000";

export function describeSandbox<Options>(subject: DriverSubject<Options>): void {
  describe("the sandbox", () => {
    let probe: BenchFunction | undefined;
    before(async () => {
      probe = await subject.bench.start(taskFor("probe", { tmpfsMiB: 4 }));
    });
    after(() => probe?.[Symbol.asyncDispose]());
    const ask = async (order: object): Promise<ProbeReport> => {
      assert.ok(probe !== undefined);
      return probeReport(await probe.call(order));
    };

    it("runs the function as user and group 1000", async () => {
      const { facts } = await ask({ facts: ["identity"] });

      assert.equal(facts?.identity?.uid, 1000);
      assert.equal(facts.identity.gid, 1000);
    });

    it("leaves it no capability and no way to gain one", async () => {
      const { facts } = await ask({ facts: ["status"] });

      const status = facts?.status ?? {};
      assert.deepEqual([status["CapEff"], status["CapPrm"], status["CapBnd"]], Array(3).fill(NO_CAPABILITIES));
      assert.equal(status["NoNewPrivs"], "1");
    });

    it("has a root filesystem that cannot be written", async () => {
      const { data } = await ask({ createFile: "/function/new", createFileSize: 1 });

      assert.equal(data["/function/new.create_code"], "EROFS");
    });

    it("has a /tmp of the task's size", async () => {
      const fits = await ask({ createFile: "/tmp/small", createFileSize: 2 * MIB });
      const over = await ask({ createFile: "/tmp/big", createFileSize: 8 * MIB });

      assert.equal(fits.data["/tmp/small.create_bytes"], String(2 * MIB));
      assert.equal(over.data["/tmp/big.create_code"], "ENOSPC");
    });

    it("kills what takes more memory than the task's, and says so", async () => {
      await using greedy = await subject.bench.start(taskFor("probe", { memoryMiB: 96 }));

      await assert.rejects(greedy.call({ leakMemory: 512 * MIB }));

      assert.equal((await greedy.container.exited).outOfMemory, true);
    });
  });
}
