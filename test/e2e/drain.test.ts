import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { after, before, describe, it } from "node:test";

import type { Call } from "../../core/call.ts";
import { pause, systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import { buildExampleImages } from "../../examples/functions/build.ts";
import { mtlsRunnerFactory } from "../../gateway/runnerpool/mtls-runner.ts";
import type { Runner } from "../../gateway/runnerpool/runnerpool.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { collectedCall } from "../../kiln/testing/collected-call.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { engineProxy } from "../../kiln/testing/engine-proxy.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { runnerProcess, type MainProcess } from "../../kiln/testing/main-process.ts";

const { engine, host, skip } = await dockerOrSkip();
const authority = await createAuthority();
const gatewayPki = await issue(authority, { name: "kiln-gateway", role: "gateway" });
const never = new AbortController().signal;

const sleeping = (ms: number, changes: Partial<Call> = {}): Call =>
  callFor("kiln-example-probe:latest", { headers: [["Probe-Control", `{"sleepTime":${ms}}`]], ...changes });

/** A runner process, and a gateway's connection to it. */
async function running(settings: Readonly<Record<string, string>>) {
  await using made = new AsyncDisposableStack();
  const process = made.use(await runnerProcess(authority, "kiln-runner", "0", settings));
  const options = { gatewayId: "test", version: "0", allowNoIsolation: true, dialTimeoutMs: 2_000, drainMs: 1_000 };
  const factory = mtlsRunnerFactory({ ...options, clock: systemClock, log: silentLog });
  const runner = made.use(factory(process.address, "kiln-runner", gatewayPki));
  const owned = made.move();
  return { process, runner, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Resolves once the call runs; `answer` is how it ended. */
async function started(runner: Runner, call: Call) {
  const { runnerCall, answer } = collectedCall(call);
  const offer = await runner.tryCall(runnerCall, never);
  assert.ok(offer.placed, offer.placed ? "" : offer.reason.message);
  return { answer };
}

async function refusal(runner: Runner) {
  const offer = await runner.tryCall(collectedCall(sleeping(0)).runnerCall, never);
  return offer.placed ? "placed" : offer.reason.code;
}

async function draining(runner: Runner): Promise<void> {
  await eventually(async () => assert.equal((await runner.status(AbortSignal.timeout(2_000))).draining, true));
}

async function leftInDirectory({ directory }: MainProcess): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => !/\.(crt|key|yaml)$/.test(name));
}

describe("a runner process that is told to end", { timeout: 120_000 }, () => {
  it("refuses new calls, lets those that run end, detached ones too, leaves nothing, and exits with 0", async () => {
    await using one = await running({ FN_DRAIN_MSECS: "20000" });
    const sync = await started(one.runner, sleeping(1_500));
    const detached = await started(one.runner, sleeping(2_000, { type: "detached", fnId: "detached" }));

    const exited = one.process.stop();
    await draining(one.runner);
    assert.equal(await refusal(one.runner), "shutting_down");

    assert.deepEqual((await sync.answer).heard.at(-1), "finish ok");
    assert.deepEqual((await detached.answer).heard.at(-1), "finish ok");
    assert.equal(await exited, 0);
    assert.deepEqual(await leftInDirectory(one.process), []);
  });

  it("ends calls after FN_DRAIN_MSECS with an outcome of their own, and exits with 3", async () => {
    await using one = await running({ FN_DRAIN_MSECS: "300" });
    const call = await started(one.runner, sleeping(60_000));

    const exited = one.process.stop();

    assert.deepEqual((await call.answer).heard.at(-1), "finish shutting_down");
    assert.equal(await exited, 3);
    assert.match(one.process.output(), /Ending calls that still run calls=1/);
    assert.deepEqual(await leftInDirectory(one.process), []);
  });

  it("does not wait for calls once it is told a second time, and takes two signals at once for one", async () => {
    await using one = await running({ FN_DRAIN_MSECS: "60000" });
    const call = await started(one.runner, sleeping(60_000));

    const exited = one.process.stop();
    one.process.process.kill("SIGTERM");
    await draining(one.runner);
    await pause(systemClock, 350);
    assert.equal((await one.runner.status(AbortSignal.timeout(2_000))).active, 1);
    one.process.process.kill("SIGINT");

    assert.deepEqual((await call.answer).heard.at(-1), "finish shutting_down");
    assert.equal(await exited, 3);
  });

  it("exits with 0 at once where nothing runs", async () => {
    await using one = await running({ FN_DRAIN_MSECS: "60000" });

    assert.equal(await one.process.stop(), 0);
    assert.deepEqual(await leftInDirectory(one.process), []);
  });
});

describe("a runner process with Docker that is told to end", { skip, timeout: 120_000 }, () => {
  const installation = `drain-${process.pid}`;
  before(() => buildExampleImages(engine, ["probe"]));
  const containers = async () =>
    engine.listContainers({ all: true, filters: JSON.stringify({ label: [`kiln.installation=${installation}`] }) });
  after(async () => {
    for (const { Id } of await containers()) await engine.getContainer(Id).remove({ force: true });
  });

  it("removes idle, frozen, starting and running containers and their directories", async () => {
    const settings = {
      FN_DRIVER: "docker",
      FN_DRAIN_MSECS: "300",
      FN_INSTALLATION_ID: installation,
      DOCKER_HOST: host,
    };
    await using one = await running(settings);
    const idle = await started(one.runner, sleeping(0, { fnId: "idle" }));
    assert.equal((await idle.answer).heard.at(-1), "finish ok");
    await started(one.runner, sleeping(60_000, { fnId: "runs" }));
    const { runnerCall } = collectedCall(sleeping(0, { fnId: "starting" }));
    const starting = one.runner.tryCall(runnerCall, never);
    assert.ok((await containers()).length >= 2);

    assert.equal(await one.process.stop(), 3);

    await starting;
    assert.deepEqual(await containers(), []);
    assert.deepEqual(await leftInDirectory(one.process), []);
  });

  it("exits, with 1, though Docker does not let it remove a container", async () => {
    await using proxy = await engineProxy(host);
    await using one = await running({
      FN_DRIVER: "docker",
      FN_DOCKER_REMOVE_TIMEOUT_MSECS: "300",
      FN_INSTALLATION_ID: installation,
      DOCKER_HOST: proxy.host,
    });
    const idle = await started(one.runner, sleeping(0));
    assert.equal((await idle.answer).heard.at(-1), "finish ok");
    proxy.refuse(/^DELETE /);

    assert.equal(await one.process.stop(), 1);

    assert.match(one.process.output(), /Container could not be removed/);
    assert.deepEqual(await leftInDirectory(one.process), []);
  });
});
