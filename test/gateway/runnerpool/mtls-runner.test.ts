import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, createServer, type AddressInfo } from "node:net";
import process from "node:process";
import { after, describe, it } from "node:test";

import { systemClock } from "../../../core/clock.ts";
import { createLog, silentLog } from "../../../core/log.ts";
import type { PkiData } from "../../../core/pki.ts";
import { mtlsRunnerFactory, type MtlsRunnerOptions } from "../../../gateway/runnerpool/mtls-runner.ts";
import { RunnerNames } from "../../../gateway/runnerpool/runner-names.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../kiln/testing/collected-call.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { processRunner, served, type ServedRunner } from "../../../kiln/testing/process-runner.ts";
import { tcpProxy } from "../../../kiln/testing/tcp-proxy.ts";

const DAY_MS = 86_400_000;
const onDeno = "deno" in process.versions;
/** Deno tells none of the reasons from another. */
const inWords = (reason: RegExp) => (onDeno ? /cannot be verified|unable to verify/ : reason);
const authority = await createAuthority({ nowMs: Date.now() - 9 * DAY_MS });
const other = await createAuthority();
const runnerPki = await issue(authority, { name: "kiln-runner", role: "runner" });
const gatewayPki = await issue(authority, { name: "kiln-gateway", role: "gateway" });

const OPTIONS: MtlsRunnerOptions = {
  gatewayId: "test",
  version: "0",
  allowNoIsolation: true,
  dialTimeoutMs: 2_000,
  drainMs: 1_000,
  clock: systemClock,
  log: silentLog,
};

function connect(
  { address }: Pick<ServedRunner, "address">,
  {
    name = "kiln-runner",
    pki = gatewayPki,
    ...options
  }: { name?: string; pki?: PkiData } & Partial<MtlsRunnerOptions> = {},
) {
  return mtlsRunnerFactory({ ...OPTIONS, ...options })(address, name, pki);
}

const never = new AbortController().signal;

async function tryHello(runner: ReturnType<typeof connect>, signal = never) {
  const { runnerCall, answer } = collectedCall(callFor("hello"), '{"name":"you"}');
  const offer = await runner.tryCall(runnerCall, signal);
  return { offer, answer };
}

// Waits that hold nothing open must not end the run: Deno ends a test whose event loop is empty.
const alive = setInterval(() => {}, 1_000);
after(() => clearInterval(alive));

describe("a runner over mutual TLS", () => {
  it("tells what the runner's operator checks, with the gateway's own body", async () => {
    const status = { image: "probe", healthChecks: [() => ({ disk: "ok" })] };
    await using one = await served(await processRunner({ status }), runnerPki);
    await using runner = connect(one);

    const body = Buffer.from('{"echoContent":"ping"}');
    const found = await runner.status(never, body);
    const failed = await runner.status(never, Buffer.from('{"responseCode":503}'));
    await assert.rejects(runner.status(never, Buffer.alloc(65_537)), /65537 bytes, expected at most 65536/);

    assert.deepEqual([found.received, found.handled, found.active, found.draining], [0, 0, 0, false]);
    const { check } = found;
    assert.ok(check !== undefined && check.failure === undefined);
    assert.match(Buffer.from(check.details).toString(), /"echoContent":"ping"/);
    assert.deepEqual([check.custom, check.networkDisabled, check.cached], [{ disk: "ok" }, false, false]);
    // Every phase of a start is told: none is measured and then left out.
    const { startMs, initMs, runMs, waitMs } = check.timings;
    assert.ok(startMs > 0 && initMs > 0 && runMs > 0 && waitMs > 0, JSON.stringify(check.timings));
    assert.deepEqual([failed.check?.failure?.code, failed.check?.failure?.status], [undefined, 503]);
  });

  it("runs calls, cold and warm, and streams bodies both ways", async () => {
    await using one = await served(await processRunner(), runnerPki);
    await using runner = connect(one);

    const cold = await tryHello(runner);
    assert.ok(cold.offer.placed);
    const { body, heard } = await cold.answer;
    assert.deepEqual(JSON.parse(body.toString()), { message: "Hello, you" });
    assert.deepEqual(heard, ["pending", "placed cold", "head", "finish ok"]);

    const big = Buffer.alloc(3_000_000, "x");
    async function* rest() {
      for (let at = 65_536; at < big.length; at += 200_000) yield big.subarray(at, Math.min(at + 200_000, big.length));
    }
    const call = callFor("probe", { headers: [["Probe-Control", '{"echo":true}']] });
    const echo = collectedCall(call, { stream: { first: big.subarray(0, 65_536), rest } });
    assert.ok((await runner.tryCall(echo.runnerCall, never)).placed);
    assert.ok((await echo.answer).body.equals(big));

    const whole = collectedCall(call, { whole: big });
    assert.ok((await runner.tryCall(whole.runnerCall, never)).placed);
    assert.ok((await whole.answer).body.equals(big), "a whole body too large for an offer");
  });

  it("tells its status", async () => {
    await using one = await served(await processRunner({ runnerId: "r7" }), runnerPki);
    await using runner = connect(one);
    await (
      await tryHello(runner)
    ).answer;

    const status = await runner.status(never);

    assert.equal(status.runnerId, "r7");
    assert.equal(status.isolation, "none");
    assert.deepEqual([status.received, status.handled, status.active], [1, 1, 0]);
    assert.equal(status.capacity.freeMemoryMiB, 1_024 - 128);
  });

  it("is noticed where another one has its name, and where it is there twice, until one of them is gone", async () => {
    const lines: string[] = [];
    const names = new RunnerNames(createLog({ write: (line) => void lines.push(line) }));
    await using first = await served(await processRunner({ runnerId: "r1" }), runnerPki);
    await using second = await served(await processRunner({ runnerId: "r1" }), runnerPki);
    await using third = await served(await processRunner({ runnerId: "r3" }), runnerPki);
    await using proxy = await tcpProxy(third.address);
    await using runners = new AsyncDisposableStack();
    const use = async (one: Pick<ServedRunner, "address">) => {
      const runner = runners.use(connect(one, { open: names.watch() }));
      await eventually(() => assert.ok(runner.connected));
      return runner;
    };

    await use(first);
    await use(third);
    assert.deepEqual([names.shared, lines], [0, []]);
    const same = await use(second);
    await use(proxy);

    assert.equal(names.shared, 4);
    assert.deepEqual(
      lines.map((line) => line.replace(/^\S+ /, "")),
      [
        `warn  Two runners have one name: give each its own, FN_RUNNER_ID runnerId=r1 runner=${second.address} other=${first.address}\n`,
        `warn  A runner is in the pool twice, its places count twice runnerId=r3 runner=${proxy.address} other=${third.address}\n`,
      ],
    );
    await same[Symbol.asyncDispose]();
    await eventually(() => assert.equal(names.shared, 2));
  });

  it("ends the call when its signal aborts, on both sides", async () => {
    await using one = await served(await processRunner(), runnerPki);
    await using runner = connect(one);
    const leaving = new AbortController();
    const call = callFor("probe", { headers: [["Probe-Control", '{"sleepTime":20000}']] });
    const { runnerCall, answer } = collectedCall(call);
    assert.ok((await runner.tryCall(runnerCall, leaving.signal)).placed);

    leaving.abort();

    assert.equal((await answer).heard.at(-1), "finish client_cancel");
    const until = Date.now() + 1_000;
    while (one.runner.status().active > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(one.runner.status().active, 0);
  });

  it("finishes calls that a dying runner may have run, and comes back to a new one", async () => {
    const first = await served(await processRunner(), runnerPki);
    await using runner = connect(first);
    const call = callFor("probe", { headers: [["Probe-Control", '{"sleepTime":20000}']] });
    const { runnerCall, answer } = collectedCall(call);
    assert.ok((await runner.tryCall(runnerCall, never)).placed);

    await first.server[Symbol.asyncDispose]();
    assert.equal((await answer).heard.at(-1), "finish runner_lost");
    const refused = await tryHello(runner);
    assert.ok(!refused.offer.placed && refused.offer.reason.code === "runner_unreachable");
    await first[Symbol.asyncDispose]();

    const woken = new Promise<void>((resolve) => runner.onCapacity(() => resolve()));
    await using _second = await served(await processRunner(), runnerPki, { port: first.server.port });
    await woken;
    assert.ok((await tryHello(runner)).offer.placed);
  });

  it("refuses a runner without isolation where strangers can reach the gateway", async () => {
    await using one = await served(await processRunner(), runnerPki);
    await using runner = connect(one, { allowNoIsolation: false });

    const { offer } = await tryHello(runner);

    assert.ok(!offer.placed && offer.reason.code === "runner_unsafe");
  });

  it("keeps no call waiting for a runner that was lost and does not answer", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    await using runner = connect({ address: `127.0.0.1:${port}` }, { dialTimeoutMs: 500 });
    await tryHello(runner);

    const startedAt = performance.now();
    const { offer } = await tryHello(runner);
    silent.close();

    assert.ok(!offer.placed && offer.reason.code === "runner_unreachable");
    assert.ok(performance.now() - startedAt < 300, "the second call was refused at once");
  });

  it("is given up while it is dialled, once nobody wants it", { timeout: 10_000 }, async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await using _listening = { [Symbol.asyncDispose]: async () => void silent.close() };
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const runner = connect({ address: `127.0.0.1:${port}` }, { dialTimeoutMs: 60_000 });
    await once(silent, "connection");

    await runner[Symbol.asyncDispose]();

    assert.equal(runner.connected, false);
  });

  it("stops though somebody holds a connection that never finishes its handshake", async () => {
    const one = await served(await processRunner(), runnerPki);
    const idle = connectTcp(one.server.port, "127.0.0.1");
    idle.on("error", () => {});
    await once(idle, "connect");

    const startedAt = performance.now();
    await one[Symbol.asyncDispose]();
    idle.destroy();

    assert.ok(performance.now() - startedAt < 5_000);
  });

  it("offers nothing to a runner that drains", async () => {
    await using one = await served(await processRunner(), runnerPki);
    await using runner = connect(one);
    await (
      await tryHello(runner)
    ).answer;
    await one.runner[Symbol.asyncDispose]();
    const { offer } = await tryHello(runner);

    assert.ok(!offer.placed && offer.reason.code === "shutting_down");
  });

  it("is told that nothing ran of what it offers while a runner goes that has drained", async () => {
    const one = await served(await processRunner(), runnerPki);
    await using wire = await tcpProxy(one.address);
    await using runner = connect(wire);
    await (
      await tryHello(runner)
    ).answer;
    wire.pause();
    const offering = tryHello(runner);
    await one.runner[Symbol.asyncDispose]();
    const going = one.server[Symbol.asyncDispose]();
    await new Promise((resolve) => setImmediate(resolve));
    wire.resume();

    const { offer } = await offering;

    assert.ok(!offer.placed && offer.reason.code === "shutting_down");
    await going;
  });
});

describe("mutual TLS", () => {
  /** Of the believed authority, valid until two days ago. */
  const expired = (name: string, role: "gateway" | "runner") =>
    issue(authority, { name, role, nowMs: Date.now() - 3 * DAY_MS, validDays: 1 });

  const wrongGateways: readonly [string, () => Promise<PkiData>, RegExp][] = [
    [
      "no certificate",
      async () => ({ ...gatewayPki, cert: "", key: "" }),
      /Refused a connection: it showed no certificate/,
    ],
    [
      "one of another authority",
      async () => ({ ...(await issue(other, { name: "kiln-gateway", role: "gateway" })), ca: authority.cert }),
      /Refused a connection: its certificate cannot be verified.*unknown authority/,
    ],
    [
      "an expired one",
      () => expired("kiln-gateway", "gateway"),
      inWords(/Refused a connection: its certificate has expired/),
    ],
    [
      "an unlisted name",
      () => issue(authority, { name: "stranger", role: "gateway" }),
      /names no listed gateway.*stranger/,
    ],
  ];
  for (const [what, pki, line] of wrongGateways) {
    it(`keeps out a gateway with ${what}`, async () => {
      const lines: string[] = [];
      const log = createLog({ write: (text) => void lines.push(text) });
      await using one = await served(await processRunner(), runnerPki, { log });
      const { cert, key, ca } = await pki();
      const own = cert === "" ? ({ ca } as PkiData) : { cert, key, ca };
      await using runner = connect(one, { pki: own, dialTimeoutMs: 1_000 });

      const { offer } = await tryHello(runner);

      assert.ok(!offer.placed && offer.reason.code === "runner_unreachable");
      assert.equal(one.runner.status().received, 0);
      assert.match(lines.join(""), line);
    });
  }

  const wrongRunners: readonly [string, () => Promise<PkiData>, RegExp, RegExp][] = [
    [
      "another name",
      () => issue(authority, { name: "impostor", role: "runner" }),
      /impostor.*expected kiln-runner/,
      /Refused a runner: its certificate carries another name/,
    ],
    [
      "another authority",
      async () => ({ ...(await issue(other, { name: "kiln-runner", role: "runner" })), ca: authority.cert }),
      /certificate|CERT|issuer/i,
      /Refused a runner: its certificate .*unknown authority/,
    ],
    [
      "an expired certificate",
      () => expired("kiln-runner", "runner"),
      inWords(/expired/i),
      inWords(/Refused a runner: its certificate has expired/),
    ],
    [
      "a certificate for clients",
      () => issue(authority, { name: "kiln-runner", role: "gateway" }),
      inWords(/purpose/i),
      inWords(/Refused a runner: its certificate is not for this end/),
    ],
  ];
  for (const [what, pki, reason, line] of wrongRunners) {
    it(`turns away from a runner with ${what}`, async () => {
      const lines: string[] = [];
      await using one = await served(await processRunner(), await pki());
      await using runner = connect(one, { log: createLog({ write: (text) => void lines.push(text) }) });

      const { offer } = await tryHello(runner);

      assert.ok(!offer.placed);
      assert.match(offer.reason.message, reason);
      await eventually(() => assert.match(lines.join(""), line));
      assert.equal(one.runner.status().received, 0);
    });
  }
});
