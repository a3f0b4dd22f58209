import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";

import { systemClock } from "../../../core/clock.ts";
import { silentLog } from "../../../core/log.ts";
import { buildExampleImages } from "../../../examples/functions/build.ts";
import { networks } from "../../../kiln/networks/networks.ts";
import { dockerOrSkip } from "../../../kiln/testing/docker.ts";
import { type BenchFunction, driverBench } from "../../../kiln/testing/driver/driver-bench.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { machineBeyond, rulesNaming } from "../../../kiln/testing/machine-beyond.ts";
import { probeReport } from "../../../kiln/testing/probe-report.ts";
import { taskFor } from "../../../kiln/testing/task-for.ts";
import { namespacesOrSkip } from "../../../kiln/testing/two-machines.ts";
import { dockerDriver } from "../../../runner/driver/docker/docker-driver.ts";
import { createGuard } from "../../../runner/driver/docker/guard.ts";

const { engine, host, skip } = await dockerOrSkip();
const prefix = `kt${randomBytes(3).toString("hex")}-`;

async function kiln(...args: readonly string[]): Promise<string> {
  let written = "";
  await networks(args, host, (text) => (written += text));
  return written;
}

async function inspect(name: string) {
  const { Id, Options = {}, IPAM } = await engine.getNetwork(name).inspect();
  const { Subnet = "", Gateway = "" } = IPAM?.Config?.[0] ?? {};
  return { id: Id, options: Options, subnet: Subnet, gateway: Gateway };
}

describe("kiln networks", { skip, timeout: 120_000 }, () => {
  before(async () => void (await buildExampleImages(engine, ["probe"])));
  after(() => kiln("remove", "--prefix", prefix));

  it("makes networks with subnets that nobody has, whose containers do not reach each other", async () => {
    const written = await kiln("create", "--count", "2", "--prefix", prefix);

    assert.match(written, new RegExp(`^${prefix}1 10\\.213\\.\\d+\\.0/22 created\n`));
    assert.ok(written.endsWith(`FN_EXPERIMENTAL_PREFORK_NETWORKS="${prefix}1 ${prefix}2"\n`), written);
    const [one, two] = [await inspect(`${prefix}1`), await inspect(`${prefix}2`)];
    assert.equal(one.options["com.docker.network.bridge.enable_icc"], "false");
    assert.equal(one.options["com.docker.network.bridge.name"], `${prefix}1`);
    assert.notEqual(one.subnet, two.subnet);
  });

  it("leaves those that are there, and makes what is missing", async () => {
    const before = (await inspect(`${prefix}1`)).id;

    const written = await kiln("create", "--count", "3", "--prefix", prefix, "--size", "28");

    assert.match(written, new RegExp(`${prefix}1 \\S+ kept\n${prefix}2 \\S+ kept\n${prefix}3 \\S+/28 created`));
    assert.equal((await inspect(`${prefix}1`)).id, before);
  });

  it("removes its own and nobody else's", async (t) => {
    const foreign = await engine.createNetwork({ Name: `${prefix}9` });
    t.after(() => foreign.remove());

    const written = await kiln("remove", "--prefix", prefix);

    assert.equal(written, [1, 2, 3].map((n) => `${prefix}${n} removed\n`).join(""));
    assert.equal((await inspect(`${prefix}9`)).id, foreign.id);
  });

  it("tells of what it removed before it met one in use", async (t) => {
    const several = `${prefix.slice(0, 7)}u-`;
    let written = "";
    t.after(() => kiln("remove", "--prefix", several));
    await kiln("create", "--count", "2", "--prefix", several, "--size", "29");
    const user = await engine.createContainer({
      Image: "kiln-example-probe:latest",
      // The probe itself ends at once where nothing names its socket.
      Entrypoint: ["node", "-e", "setInterval(() => {}, 1000)"],
      HostConfig: { NetworkMode: `${several}2` },
    });
    await user.start();
    try {
      const removal = networks(["remove", "--prefix", several], host, (text) => (written += text));

      await assert.rejects(removal, /active endpoints/);
      assert.equal(written, `${several}1 removed\n`);
    } finally {
      await user.remove({ force: true });
    }
  });

  it("says that it cannot isolate what is no bridge", async () => {
    await assert.rejects(
      kiln("isolate", "host"),
      /Cannot isolate host: it is a network of driver host, expected bridge/,
    );
  });

  it("says what is wrong with its arguments", async () => {
    await assert.rejects(kiln("make"), /expected create, isolate or remove/);
    await assert.rejects(kiln("create", "--size", "30"), /--size is "30", expected a whole number from 16 to 29/);
    await assert.rejects(kiln("create", "--prefix", "much-too-long-a-name"), /--prefix is "much-too-long-a-name"/);
    await assert.rejects(kiln("create", "--base", "10.0.0.0"), /"10.0.0.0" is no subnet/);
    await assert.rejects(kiln("isolate", `${prefix}nowhere`), /There is no network/);
  });
});

const PEER_PORT = 9_000;

/** A container that takes connections, on these networks. Disposing it removes it. */
async function listenerOn(first: string, ...others: readonly string[]) {
  const container = await engine.createContainer({
    Image: "kiln-example-probe:latest",
    Entrypoint: ["node", "-e", `require("net").createServer((s) => s.end()).listen(${PEER_PORT})`],
    HostConfig: { NetworkMode: first },
  });
  await container.start();
  for (const name of others) await engine.getNetwork(name).connect({ Container: container.id });
  const { Networks } = (await container.inspect()).NetworkSettings;
  return {
    addressOn: (name: string) => Networks[name]?.IPAddress ?? "",
    async [Symbol.asyncDispose]() {
      await container.remove({ force: true });
    },
  };
}

const root = skip === false ? await namespacesOrSkip() : skip;

describe("an isolated network", { skip: root, timeout: 120_000 }, () => {
  const own = `${prefix.replace("-", "")}i`;
  const installation = { id: `networks-${process.pid}`, runnerId: "r1", bootId: "b1" };
  const made = new AsyncDisposableStack();
  let probe: BenchFunction;
  let gateway = "";
  before(async () => {
    await buildExampleImages(engine, ["probe"]);
    made.defer(async () => void (await kiln("remove", "--prefix", own)));
    await kiln("create", "--count", "1", "--prefix", own);
    ({ gateway } = await inspect(`${own}1`));
    const sandbox = { networks: [`${own}1`] };
    const base = { docker: engine, installation, guard: createGuard(), clock: systemClock, log: silentLog };
    const bench = made.use(await driverBench(dockerDriver({ ...base, sandbox })));
    probe = made.use(await bench.start(taskFor("probe")));
  });
  after(() => made.disposeAsync());

  const reach = async (address: string, port: number) =>
    probeReport(await probe.call({ connectTo: { host: address, port, timeoutMs: 700 } })).data["connect"];

  it("lets no packet of a container through to another on it, as one made with --icc does", async () => {
    const open = `${own}o-`;
    await using scope = new AsyncDisposableStack();
    scope.defer(async () => void (await kiln("remove", "--prefix", open)));
    await kiln("create", "--count", "1", "--prefix", open, "--icc");
    const [apart, together] = [`${own}1`, `${open}1`];
    const peer = scope.use(await listenerOn(apart, together));
    const end = { Container: probe.container.id, Force: true };
    await engine.getNetwork(together).connect(end);
    scope.defer(async () => void (await engine.getNetwork(together).disconnect(end)));

    await eventually(async () => assert.equal(await reach(peer.addressOn(together), PEER_PORT), "connected"));
    assert.equal(await reach(peer.addressOn(apart), PEER_PORT), "timeout");
  });

  it("does not reach the host by any of its addresses, and reaches the rest as before", async () => {
    const listener = createServer((socket) => socket.end()).listen(0, "0.0.0.0");
    made.defer(() => void listener.close());
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const beyond = made.use(await machineBeyond());
    const all = async () => [
      await reach(gateway, port),
      await reach(beyond.hostAddress, port),
      await reach(beyond.address, beyond.port),
    ];
    assert.match(gateway, /^10\.213\./);
    assert.deepEqual(await all(), ["connected", "connected", "connected"]);

    const written = await kiln("isolate", `${own}1`);
    assert.equal(written, `${own}1 does not reach this host any more\n`);
    assert.deepEqual(await all(), ["timeout", "timeout", "connected"]);

    // Once is enough, and it goes with its network.
    await kiln("isolate", `${own}1`);
    assert.equal((await rulesNaming(own)).length, 1);
    await probe[Symbol.asyncDispose]();
    await kiln("remove", "--prefix", own);
    assert.deepEqual(await rulesNaming(own), []);
  });
});
