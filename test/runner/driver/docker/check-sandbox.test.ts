import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { engineClient } from "../../../../kiln/testing/engine-client.ts";
import { optionSources } from "../../../../kiln/testing/option-sources.ts";
import { checkSandbox } from "../../../../runner/driver/docker/check-sandbox.ts";
import { containerOptions } from "../../../../runner/driver/docker/container-options.ts";

const { engine, skip } = await dockerOrSkip();

describe("checkSandbox", { skip, timeout: 30_000 }, () => {
  it("takes a runtime that the daemon has, and names those it has instead of another", async () => {
    await checkSandbox(engineClient(engine), { rootMiB: 0, runtime: "runc" });

    await assert.rejects(checkSandbox(engineClient(engine), { rootMiB: 0, runtime: "runcible" }), {
      message: /^Cannot start: FN_DOCKER_RUNTIME is "runcible", and Docker has .*\brunc\b/,
    });
  });

  it("takes a size of the root filesystem only from a daemon that can keep it", async () => {
    const kept = await checkSandbox(engineClient(engine), { rootMiB: 64, runtime: "" }).then(
      () => true,
      (error: unknown) => {
        assert.ok(error instanceof Error);
        assert.match(
          error.message,
          /^Cannot start: FN_MAX_FS_SIZE_MB is 64, and Docker cannot limit it here: .*storage-opt/,
        );
        return false;
      },
    );

    const { Driver, DriverStatus } = (await engine.info()) as { Driver: string; DriverStatus: string[][] };
    if (Driver === "overlay2" && DriverStatus.flat().includes("extfs")) assert.equal(kept, false);
  });
});

describe("containerOptions", () => {
  it("limit the root filesystem and choose the runtime where the runner says so", () => {
    const host = (sandbox: { rootMiB?: number; runtime?: string }) =>
      containerOptions(optionSources({ sandbox })).HostConfig;

    assert.deepEqual(host({ rootMiB: 64 })?.StorageOpt, { size: "64M" });
    assert.equal(host({})?.StorageOpt, undefined);
    assert.equal(host({ runtime: "runsc" })?.Runtime, "runsc");
    assert.equal(host({})?.Runtime, undefined);
  });
});
