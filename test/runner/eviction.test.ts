import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { buildExampleImages } from "../../examples/functions/build.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { freezerState } from "../../kiln/testing/freezer-state.ts";
import { offerTo, type Outcome } from "../../kiln/testing/offer.ts";
import { processRunner } from "../../kiln/testing/process-runner.ts";
import { systemRunner } from "../../kiln/testing/system-runner.ts";

const { engine, skip } = await dockerOrSkip();

/** Room for one container of 128 MiB. */
const MEMORY_MIB = 160;
const control = (fields: Readonly<Record<string, unknown>>) => ({
  headers: [["Probe-Control", JSON.stringify(fields)] as const],
});

const codeOf = ({ finish, refused }: Outcome) =>
  refused?.reason.code ?? (finish?.ok === false ? finish.code : finish?.ok === true ? "ok" : "nothing");

describe("a runner with room for one container", () => {
  const small = () => processRunner({ resources: { memoryMiB: MEMORY_MIB, cpuMillis: 4_000 } });

  it("does not evict a busy one", async () => {
    await using runner = await small();
    const busy = offerTo(runner, callFor("probe", control({ sleepTime: 500 })));
    await busy.said("accepted");

    assert.equal(codeOf(await offerTo(runner, callFor("hello")).outcome), "server_busy");
    assert.equal(codeOf(await busy.outcome), "ok");
  });

  it("does not evict one that starts", async () => {
    await using runner = await processRunner({
      resources: { memoryMiB: MEMORY_MIB, cpuMillis: 4_000 },
      limits: { initTimeoutMs: 500 },
    });
    const starting = offerTo(runner, callFor("probe", { config: { ENABLE_INIT_DELAY_MSEC: "20000" } }));
    await starting.said("pending");

    assert.equal(codeOf(await offerTo(runner, callFor("hello")).outcome), "server_busy");
    assert.equal(codeOf(await starting.outcome), "container_init_timeout");
  });

  it("runs as many calls as it has room for, and refuses the others as busy and nothing else", async () => {
    await using runner = await processRunner({ resources: { memoryMiB: 280, cpuMillis: 4_000 } });
    const call = () => callFor("probe", { memoryMiB: 50, ...control({ sleepTime: 1_000 }) });

    const codes = (await Promise.all(Array.from({ length: 20 }, () => offerTo(runner, call()).outcome))).map(codeOf);

    assert.ok(codes.filter((code) => code === "ok").length >= 5, String(codes));
    assert.deepEqual([...new Set(codes)].toSorted(), ["ok", "server_busy"]);
  });
});

describe("a runner with room for one container, on Docker", { skip, timeout: 120_000 }, () => {
  before(async () => void (await buildExampleImages(engine, ["probe"])));

  it("evicts an idle one, frozen too, and starts the other only when it is gone", async () => {
    const alive: number[] = [];
    await using runner = await systemRunner("evicts", {
      docker: engine,
      memoryMiB: MEMORY_MIB,
      hooks: [
        {
          start: (next) => async (start, signal) => {
            const filters = { label: ["kiln.runner=evicts", `kiln.installation=testing-${process.pid}`] };
            alive.push((await engine.listContainers({ all: true, filters })).length);
            return next(start, signal);
          },
        },
      ],
    });
    const call = (fnId: string) => callFor("kiln-example-probe:latest", { fnId });
    const first = await offerTo(runner, call("one")).outcome;
    await eventually(async () => assert.equal(await freezerState(engine, first.containerId ?? ""), "frozen"));

    for (const fnId of ["two", "one", "two"]) assert.equal(codeOf(await offerTo(runner, call(fnId)).outcome), "ok");

    assert.deepEqual(alive, [0, 0, 0, 0], "containers there were when each was started");
    const { freeMemoryMiB, totalMemoryMiB } = runner.hello().capacity;
    assert.equal(totalMemoryMiB - freeMemoryMiB, 128);
  });
});
