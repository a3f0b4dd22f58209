import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { createAuthority } from "../../kiln/pki.ts";
import { dnsServer } from "../../kiln/testing/dns-server.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { countRuns, startLoad, type Load } from "../../kiln/testing/load.ts";
import { gatewayProcess, runnerProcess, type MainProcess } from "../../kiln/testing/main-process.ts";
import { probeFunctions } from "../../kiln/testing/probe-calls.ts";

const functions = probeFunctions({ probe: { memory: 64 } });
const CLIENTS = 64;
/** So that few of the clients' calls have a container, and the others wait. */
const SMALL = { FN_MAX_TOTAL_MEMORY_BYTES: String(4 * 64 * 2 ** 20) };

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-load-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** Waits until so many more calls have ended. */
async function more(load: Load, calls: number): Promise<void> {
  const until = load.ended + calls;
  await eventually(() => assert.ok(load.ended >= until, `${load.ended} calls have ended, waiting for ${until}`));
}

const portOf = ({ address }: MainProcess) => address.split(":")[1] ?? "";

describe("a rolling restart under load", { timeout: 300_000 }, () => {
  it("of every runner, and of two gateways one after the other, fails no call of a client that retries refused connections", async (t) => {
    const authority = await createAuthority();
    await using made = new AsyncDisposableStack();
    const counted = await temporaryDirectory(t);
    const runner = async (name: string, port = "0") => made.use(await runnerProcess(authority, name, port, SMALL));
    const runners = await Promise.all([runner("runner-1"), runner("runner-2")]);
    const words = runners.map(({ address }, i) => `runner-${i + 1}=${address}`);
    const gateway = async (port = "0") =>
      made.use(await gatewayProcess(authority, words, functions, { FN_PORT: port, FN_LOG_LEVEL: "warn" }));
    const gateways = await Promise.all([gateway(), gateway()]);
    const orders = { echo: true, countDir: counted, sleepTime: 5 };
    const load = startLoad({
      gateways: gateways.map(({ address }) => address),
      fnId: "probe",
      clients: CLIENTS,
      orders,
    });

    await more(load, 100);
    for (const [i, one] of runners.entries()) {
      assert.equal(await one.stop(), 0);
      await runner(`runner-${i + 1}`, portOf(one));
      await more(load, 100);
    }
    for (const one of gateways) {
      assert.equal(await one.stop(), 0);
      await gateway(portOf(one));
      await more(load, 100);
    }

    const { calls, outcomes } = await load.stop();
    assert.deepEqual(outcomes, { "200": calls });
    assert.deepEqual(await countRuns(counted), { calls, twice: 0 });
    t.diagnostic(`${calls} calls, none failed`);
  });
});

describe("runners that are found by DNS and in a file", { timeout: 300_000 }, () => {
  it("join and leave under load, each believed by the name that goes with it, and no call fails", async (t) => {
    const authority = await createAuthority();
    await using made = new AsyncDisposableStack();
    const server = made.use(await dnsServer());
    const counted = await temporaryDirectory(t);
    const names = ["one.test", "two.test", "three.test"];
    const runners = await Promise.all(names.map((name) => runnerProcess(authority, name, "0", SMALL)));
    for (const one of runners) made.use(one);
    for (const name of names) server.zone.set(name, [{ type: "A", address: "127.0.0.1", ttl: 1 }]);
    const records = names.map((target, i) => ({
      type: "SRV" as const,
      target,
      port: Number(runners[i]?.address.split(":")[1]),
    }));
    const serve = (...which: readonly number[]) =>
      server.zone.set(
        "_kiln._tcp.test",
        records.filter((_, i) => which.includes(i)),
      );
    serve(0);
    const file = join(await temporaryDirectory(t), "runners.yaml");
    const list = async (...which: readonly number[]) => {
      const found = which.map((i) => ({ address: runners[i]?.address, certName: names[i] }));
      await writeFile(`${file}.new`, JSON.stringify({ runners: found }));
      await rename(`${file}.new`, file);
    };
    await list();
    const settings = { FN_RUNNER_DNS_SERVER: server.address, FN_RUNNER_DNS_MSECS: "1000" };
    const gateway = made.use(
      await gatewayProcess(authority, ["{host}=dns+srv://_kiln._tcp.test", `file:${file}`], functions, settings),
    );
    const orders = { echo: true, countDir: counted, sleepTime: 5 };
    const load = startLoad({ gateways: [gateway.address], fnId: "probe", clients: CLIENTS, orders });
    const served = (i: number) => new RegExp(`Runner connected.*runner=${runners[i]?.address}`);
    const left = (i: number) => new RegExp(`Runner leaves the pool.*runner=${runners[i]?.address}`);

    await more(load, 100);
    serve(0, 1);
    await list(2);
    for (const i of [1, 2]) await eventually(() => assert.match(gateway.output(), served(i)));
    await more(load, 100);
    serve(1);
    await list();
    for (const i of [0, 2]) await eventually(() => assert.match(gateway.output(), left(i)));
    await more(load, 100);
    await Promise.all([runners[0]?.stop(), runners[2]?.stop()]);
    server.zone.delete("_kiln._tcp.test");
    await eventually(() => assert.match(gateway.output(), /could not be looked up, those known stay/));
    await more(load, 100);

    const { calls, outcomes } = await load.stop();
    assert.deepEqual(outcomes, { "200": calls });
    assert.deepEqual(await countRuns(counted), { calls, twice: 0 });
    t.diagnostic(`${calls} calls, none failed`);
  });
});
