import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";

import { bind } from "../../core/bind.ts";
import { readSettings } from "../../core/config.ts";
import { RUNNER_SETTINGS } from "../../runner/settings.ts";
import { partOfMachine, shareRunner } from "../../runner/share-runner.ts";

const MIB = 1024 * 1024;

function shared(workers: number, env: Record<string, string> = {}) {
  const limits = { FN_MAX_TOTAL_MEMORY_BYTES: String(10 * MIB), FN_MAX_TOTAL_CPU_MCPUS: "500" };
  return shareRunner(readSettings(RUNNER_SETTINGS, { FN_RUNNER_ID: "r", ...limits, ...env }), workers);
}

describe("shareRunner", () => {
  it("gives each worker a name, a port and whole parts that add up", async () => {
    const share = await shared(3, {
      FN_EXPERIMENTAL_PREFORK_POOL_SIZE: "2",
      FN_MAX_CONCURRENT_STARTS: "2",
      FN_IMAGE_CLEAN_MAX_SIZE: "7",
    });

    const parts = [1, 2, 3].map((number) => share({ number, before: undefined, first: undefined }));

    assert.deepEqual(
      parts.map(({ FN_RUNNER_ID: id, FN_GRPC_PORT: port }) => [id, port]),
      [
        ["r-1", 9190],
        ["r-2", 9191],
        ["r-3", 9192],
      ],
    );
    assert.deepEqual(
      parts.map((part) => (part.FN_MAX_TOTAL_MEMORY_BYTES ?? 0) / MIB),
      [4, 3, 3],
    );
    assert.deepEqual(
      parts.map((part) => part.FN_MAX_TOTAL_CPU_MCPUS),
      [167, 167, 166],
    );
    assert.deepEqual(
      parts.map((part) => part.FN_EXPERIMENTAL_PREFORK_POOL_SIZE),
      [1, 1, 0],
    );
    assert.deepEqual(
      parts.map((part) => part.FN_IMAGE_CLEAN_MAX_SIZE),
      [7, 0, 0],
      "Docker's images are all workers'",
    );
    // A 0 would take the default of the whole machine.
    assert.deepEqual(
      parts.map((part) => part.FN_MAX_CONCURRENT_STARTS),
      [1, 1, 1],
    );
  });

  it("lets each take a free port, and one that is started again keep its own", async () => {
    const share = await shared(2, { FN_GRPC_PORT: "0", FN_RUNNER_ID: "" });

    const worker1 = { address: "127.0.0.1:4710", admin: "127.0.0.1:4700" };
    const first = share({ number: 2, before: undefined, first: worker1 });
    const again = share({ number: 2, before: { address: "[::1]:4711" }, first: worker1 });

    assert.equal(first.FN_GRPC_PORT, 0);
    assert.equal(again.FN_GRPC_PORT, 4711);
    assert.deepEqual([first.FN_ADMIN_PORT, again.FN_ADMIN_PORT], [4700, 4700], "the admin listener's is shared");
    assert.equal(again.FN_RUNNER_ID, first.FN_RUNNER_ID);
  });

  it("leaves a worker that is started again its part, whatever the machine has free by then", () => {
    const pebibyte = { FN_MAX_TOTAL_MEMORY_BYTES: String(2 ** 50), FN_MAX_TOTAL_CPU_MCPUS: "5000000" };

    const part = partOfMachine(readSettings(RUNNER_SETTINGS, pebibyte));

    assert.deepEqual(part, { memoryMiB: 2 ** 30, cpuMillis: 5_000_000 });
  });

  it("says what is too little for so many", async () => {
    await assert.rejects(shared(11), /Cannot start 11 workers: 10 MiB and 500 thousandths of a core are to be shared/);
    await assert.rejects(
      shared(2, { FN_GRPC_PORT: "65535" }),
      /Cannot start 2 workers from port 65535 on \(FN_GRPC_PORT\)/,
    );
  });

  it("shares no admin port with another service, which would answer half of the scrapes", async () => {
    await using other = createServer();
    const { port } = await bind(other, { host: "127.0.0.1", port: 0 }, true);

    await assert.rejects(shared(2, { FN_ADMIN_PORT: String(port) }), {
      message: `Cannot listen on 127.0.0.1:${port}: the port is in use, set FN_ADMIN_PORT to another`,
    });
  });
});
