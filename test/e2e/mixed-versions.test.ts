import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { createAuthority } from "../../kiln/pki.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { gatewayProcess, runnerProcess, type MainProcess } from "../../kiln/testing/main-process.ts";
import { assertFailure, callProbe, probeFunctions } from "../../kiln/testing/probe-calls.ts";
import { treeOf, whyNotTreeOf } from "../../kiln/testing/tree-of.ts";

// The first has the first form of the protocol: a gateway or runner that a user may not have replaced yet.
const COMMITS = ["e83c4f99b026cce0803e6ab0006cccc2edb35465", "HEAD^"];

// More than an offer carries, and more than any window before credit is given.
const LARGE = randomBytes(3_000_000);

const PROBES = { probe: {}, slow: {} };
/** What an old gateway's functions file does not know, and an old runner has never heard of. */
const NEW_SETTINGS = { ...PROBES, many: { concurrency: 4, min_containers: 1, max_containers: 2, max_calls: 100 } };

/** How long a new runner that stops waits for the last word of an old gateway, which has none. */
const RUNNER = { FN_PING_TIMEOUT_MSECS: "1000" };

const authority = await createAuthority();

for (const commit of COMMITS) {
  const skip = await whyNotTreeOf(commit);

  describe(`of this tree and of ${commit}`, { skip, timeout: 120_000 }, () => {
    const made = new AsyncDisposableStack();
    let old: string;
    before(async () => {
      old = made.use(await treeOf(commit)).directory;
    });
    after(() => made.disposeAsync());

    for (const oldOne of ["gateway", "runner"]) {
      const [newOne] = ["gateway", "runner"].filter((role) => role !== oldOne);
      const treeFor = (role: string) => (role === oldOne ? old : undefined);

      describe(`an old ${oldOne} with a new ${newOne}`, () => {
        let runner: MainProcess;
        let gateway: MainProcess;
        let url = "";
        let counts = "";
        before(async () => {
          counts = await mkdtemp(join(tmpdir(), "kiln-runs-"));
          made.defer(() => rm(counts, { recursive: true }));
          runner = made.use(await runnerProcess(authority, "kiln-runner", "0", RUNNER, treeFor("runner")));
          const functions = probeFunctions(newOne === "gateway" ? NEW_SETTINGS : PROBES);
          gateway = made.use(await gatewayProcess(authority, [runner.address], functions, {}, treeFor("gateway")));
          url = `http://${gateway.address}`;
        });

        /** How many runs there were of calls that were to be counted. */
        async function runs(): Promise<number> {
          const files = await readdir(counts);
          const texts = await Promise.all(files.map((file) => readFile(join(counts, file), "utf8")));
          return texts.join("").split("\n").length - 1;
        }

        it("runs calls, cold, warm and many at once", async () => {
          const calls = Array.from({ length: 8 }, () => callProbe({ url }, "probe", { isEmptyBody: true }));

          for (const response of [...(await Promise.all(calls)), await callProbe({ url }, "probe")]) {
            assert.equal(response.status, 200, await response.text());
          }
        });

        it("carries large bodies both ways", async () => {
          const response = await callProbe({ url }, "probe", { echo: true }, { body: LARGE });

          assert.deepEqual(Buffer.from(await response.arrayBuffer()), LARGE);
        });

        it("runs a detached call once", async () => {
          const headers = { "fn-invoke-type": "detached" };

          const response = await callProbe({ url }, "probe", { countDir: counts }, { headers });

          assert.equal(response.status, 202);
          await eventually(async () => assert.equal(await runs(), 1));
        });

        it("tells a function's failure from the platform's", async () => {
          const failed = await callProbe({ url }, "probe", { httpStatus: 502 });

          await assertFailure(failed, { status: 502, code: "function_failed", component: "function" });
        });

        if (newOne === "gateway") {
          it("runs calls of a function whose settings the runner does not know", async () => {
            const calls = Array.from({ length: 8 }, () => callProbe({ url }, "many", { isEmptyBody: true }));

            for (const response of await Promise.all(calls)) assert.equal(response.status, 200, await response.text());
          });
        }

        it("ends the calls of a runner that is told to stop", async () => {
          await (await callProbe({ url }, "slow", { isEmptyBody: true })).text();
          const before = await runs();
          const running = callProbe({ url }, "slow", { sleepTime: 1_000, countDir: counts, isEmptyBody: true });
          await eventually(async () => assert.equal(await runs(), before + 1));

          const code = await runner.stop();

          const response = await running;
          assert.equal(response.status, 200, await response.text());
          assert.equal(code, 0);
        });
      });
    }
  });
}
