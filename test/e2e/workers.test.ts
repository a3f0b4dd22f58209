import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { request } from "node:http";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { createAuthority } from "../../kiln/pki.ts";
import { created } from "../../kiln/testing/api-requests.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { gatewayProcess, runnerProcess, type MainProcess } from "../../kiln/testing/main-process.ts";

/** Asks on a connection of its own, which goes to any of the workers. */
function ask(address: string, method: string, path: string, body = "", headers = {}): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const sent = request(`http://${address}${path}`, { method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve([response.statusCode ?? 0, text]));
      response.on("error", reject);
    });
    sent.on("error", reject).end(body);
  });
}

/** What all workers together have counted; a busy worker may be too late to be in the first answer. */
async function metricIs(address: string, name: string, expected: number): Promise<void> {
  await eventually(async () => {
    const [, text] = await ask(address, "GET", "/metrics");
    const value = Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
    assert.equal(value, expected, name);
  });
}

/** Process ids of a worker, first to last. */
function pidsOf(main: MainProcess, worker: number): readonly number[] {
  const served = new RegExp(`Worker serves worker=${worker} pid=(\\d+)`, "g");
  return [...main.output().matchAll(served)].map(([, pid]) => Number(pid));
}

/** Resolves once no process has this id. */
function gone(pid: number): Promise<void> {
  return eventually(() => assert.throws(() => process.kill(pid, 0), { code: "ESRCH" }));
}

const WORKERS = [1, 2];

describe("two workers of a gateway and two of a runner", { timeout: 300_000 }, () => {
  it("serve as one, live through the loss of one, and end in order", async (t) => {
    const authority = await createAuthority();
    const settings = { FN_WORKERS: "2", FN_ADMIN_PORT: "0" };
    await using runner = await runnerProcess(authority, "kiln-runner", "0", settings);
    const runnerAdmin = /"admin":"([^"]+)"/.exec(runner.output())?.[1] ?? "";
    const addresses = runner.address.split(",");
    await using gateway = await gatewayProcess(authority, addresses, "", {
      FN_WORKERS: "2",
      FN_FUNCTIONS_FILE: "",
      FN_DB_URL: `sqlite3:${runner.directory}/fn.db`,
      FN_PLACER: "naive",
    });
    const { address } = gateway;
    let answered = 0;
    const call = async (orders = {}) => {
      const headers = { "probe-control": JSON.stringify({ isEmptyBody: true, ...orders }) };
      const [status] = await ask(address, "POST", "/invoke/probe", "", headers);
      if (status === 200) answered += 1;
      return status;
    };
    /** Calls until the log says something; the system sends each call to any worker. */
    const callUntil = (...lines: readonly RegExp[]) =>
      eventually(async () => {
        await call();
        for (const line of lines) assert.ok(line.test(gateway.output()), String(line));
      });

    await t.test("what is made on one is found on the other", async () => {
      // Asked for before it is there: that there is none is remembered too.
      await callUntil(...WORKERS.map((n) => new RegExp(`worker=${n} .* code=fn_not_found status=404`)));
      const app = await created(address)("apps", { name: "a" });
      const fn = JSON.stringify({ app_id: app.id, name: "probe", image: "probe", memory: 64 });
      const [status, text] = await ask(address, "PUT", "/v2/fns/probe", fn, { "if-none-match": "*" });
      assert.equal(status, 200, text);

      await callUntil(...WORKERS.map((n) => new RegExp(`worker=${n} .*fn_id=probe .*status=200`)));
    });

    await t.test("calls are on all of them, and metrics of all of them are one", async () => {
      await callUntil(...addresses.map((one) => new RegExp(`runner=${one} status=200`)));

      await metricIs(address, "fn_completed", answered);
      await metricIs(runnerAdmin, "fn_completed", answered);
      await metricIs(address, "fn_workers_serving", 2);
      const [, ready] = await ask(runnerAdmin, "GET", "/readyz");
      assert.equal(ready, '{"ready":true,"detail":"2 of 2 workers: takes calls"}');
    });

    await t.test("kill -9 of a worker of each", async () => {
      const pids = [...pidsOf(gateway, 1), ...pidsOf(runner, 2)];
      assert.equal(pids.length, 2, `none has ended by itself:\n${gateway.output()}\n${runner.output()}`);
      for (const pid of pids) process.kill(pid, "SIGKILL");

      // A start takes as long as the machine lets it.
      while (pidsOf(gateway, 1).length < 2 || pidsOf(runner, 2).length < 2) await sleep(20);
      assert.match(gateway.output(), /Worker ended, another is started in its place worker=1 .*signal=SIGKILL/);
      await metricIs(address, "fn_worker_restarts", 1);
      await metricIs(runnerAdmin, "fn_worker_restarts", 1);
      // What the killed ones had told of is still counted.
      await metricIs(address, "fn_completed", answered);
      await metricIs(runnerAdmin, "fn_completed", answered);
      const onSecond = () => gateway.output().split(`runner=${addresses[1]} status=200`).length;
      const before = onSecond();
      await eventually(async () => {
        assert.equal(await call(), 200);
        assert.ok(onSecond() > before, "it is where it was before");
      });
    });

    await t.test(
      "they end when running calls have ended, or a second signal comes; a parent's death is a first one",
      async () => {
        const long = call({ sleepTime: 60_000 });
        const short = call({ sleepTime: 2_000 });
        await metricIs(address, "fn_running", 2);

        runner.process.kill("SIGKILL");
        // As a terminal's Ctrl-C, which is told to each of them.
        for (const worker of WORKERS) process.kill(pidsOf(gateway, worker).at(-1) ?? 0, "SIGINT");
        const ended = gateway.stop();
        assert.equal(await short, 200);
        gateway.process.kill("SIGTERM");

        assert.equal(await long, 503);
        assert.equal(await ended, 0);
        for (const worker of WORKERS) await gone(pidsOf(runner, worker).at(-1) ?? 0);
        const left = (await readdir(runner.directory)).filter(
          (name) => name.startsWith("kiln-") && !name.includes("."),
        );
        assert.deepEqual(left, [], "no directories of sockets");
      },
    );
  });
});
