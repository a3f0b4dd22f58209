import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { systemClock } from "../../../core/clock.ts";
import { createLog } from "../../../core/log.ts";
import { watchPki } from "../../../core/pki-watch.ts";
import { mtlsRunnerFactory } from "../../../gateway/runnerpool/mtls-runner.ts";
import { naivePlacer } from "../../../gateway/runnerpool/naive-placer.ts";
import { poolOf } from "../../../gateway/runnerpool/static-pool.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../kiln/testing/collected-call.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { believing, pkiFolder } from "../../../kiln/testing/pki-folder.ts";
import { processRunner, served } from "../../../kiln/testing/process-runner.ts";

const [first, second] = [await createAuthority(), await createAuthority()];
const issued = async (authority: typeof first) => ({
  runner: await issue(authority, { name: "kiln-runner", role: "runner" }),
  gateway: await issue(authority, { name: "kiln-gateway", role: "gateway" }),
});
const [ofFirst, renewed, ofSecond] = [await issued(first), await issued(first), await issued(second)];
const POLL = { pollMs: 10 };
const never = new AbortController().signal;
const probe = (control: object) => callFor("probe", { headers: [["Probe-Control", JSON.stringify(control)]] });

// Deno ends a test whose event loop is empty.
const alive = setInterval(() => {}, 1_000);
after(() => clearInterval(alive));

/** A gateway's pool and a runner, each with certificates from files, believing both authorities at first or one. */
async function connected({ drainMs = 5_000, bundle = [first, second] } = {}) {
  await using made = new AsyncDisposableStack();
  const runnerFolder = made.use(await pkiFolder(believing(ofFirst.runner, ...bundle)));
  const gatewayFolder = made.use(await pkiFolder(believing(ofFirst.gateway, ...bundle)));
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  const runnerPki = made.use(await watchPki(runnerFolder.files, POLL));
  const one = made.use(await served(await processRunner(), runnerPki, { log, drainMs }));
  const factory = mtlsRunnerFactory({
    gatewayId: "test",
    version: "0",
    allowNoIsolation: true,
    dialTimeoutMs: 2_000,
    drainMs,
    clock: systemClock,
    log,
  });
  const gatewayPki = made.use(await watchPki(gatewayFolder.files, POLL));
  const runner = factory(one.address, "kiln-runner", gatewayPki);
  const pool = made.use(poolOf([runner]));
  const placer = naivePlacer({ clock: systemClock, timeoutMs: 10_000, detachedTimeoutMs: 10_000, retryDelayMs: 10 });
  const call = async (control: object) => {
    const { runnerCall, answer } = collectedCall(probe(control));
    await placer.place(runnerCall, pool, never);
    return (await answer).heard.at(-1);
  };
  const lived = (message: string) => lines.filter((line) => line.includes(message)).length;
  const owned = made.move();
  return {
    runner,
    runnerFolder,
    gatewayFolder,
    call,
    lines,
    count: lived,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type Connected = Awaited<ReturnType<typeof connected>>;

/** Calls one after the other while `work` goes on, two at a time. Returns how each ended. */
async function underCalls({ call }: Connected, work: () => Promise<void>): Promise<readonly (string | undefined)[]> {
  const endings: (string | undefined)[] = [];
  let working = true;
  const trickle = async () => {
    while (working) {
      endings.push(await call({ sleepTime: 5 }));
      await sleep(3);
    }
  };
  const trickling = Promise.all([trickle(), trickle()]);
  await work().finally(() => (working = false));
  await trickling;
  return endings;
}

const CONNECTED = "Gateway connected";

describe("certificates that change under load", () => {
  it("go from one authority to another without a failed call, or a session dropped before it must", async () => {
    await using it = await connected();
    assert.equal(await it.call({}), "finish ok");

    const endings = await underCalls(it, async () => {
      await it.runnerFolder.write(believing(renewed.runner, first, second));
      await it.gatewayFolder.write(believing(renewed.gateway, first, second));
      await sleep(200);
      await it.runnerFolder.write(believing(ofSecond.runner, first, second));
      await it.gatewayFolder.write(believing(ofSecond.gateway, first, second));
      await sleep(200);
      assert.equal(it.count(CONNECTED), 1, "one session through two renewals");

      await it.runnerFolder.write(believing(ofSecond.runner, second));
      await eventually(() =>
        assert.equal(it.count(CONNECTED), 2, "the runner ends what the first authority vouched for"),
      );
      await it.gatewayFolder.write(believing(ofSecond.gateway, second));
      await sleep(200);
      assert.equal(it.count(CONNECTED), 2, "and both sides believe the new session");
    });

    assert.ok(endings.length > 20, `${endings.length} calls`);
    assert.deepEqual(
      endings.filter((ending) => ending !== "finish ok"),
      [],
    );
    assert.equal(it.count("Gateway's connection takes no new calls"), 1);
    assert.equal(it.count("Runner's connection takes no new calls"), 1);
  });

  it("end the session of a runner whose authority is gone, once its calls have ended", async () => {
    await using it = await connected();
    assert.equal(await it.call({}), "finish ok");
    await it.runnerFolder.write(believing(ofSecond.runner, first, second));
    await sleep(100);

    const long = it.call({ sleepTime: 1_000 });
    const endings = await underCalls(it, async () => {
      await it.gatewayFolder.write(believing(ofFirst.gateway, second));
      await eventually(() => assert.equal(it.count(CONNECTED), 2));
    });

    assert.deepEqual(
      endings.filter((ending) => ending !== "finish ok"),
      [],
    );
    assert.equal(await long, "finish ok", "a call of the old session runs to its end");
  });

  it("let a retired session live no longer than the time for draining", async () => {
    await using it = await connected({ drainMs: 200 });
    assert.equal(await it.call({}), "finish ok");
    const long = it.call({ sleepTime: 20_000 });
    await sleep(50);

    await it.runnerFolder.write(believing(ofSecond.runner, second));

    assert.equal(await long, "finish runner_lost");
  });

  it("keep a gateway out until its certificate is of an authority that is believed", async () => {
    await using it = await connected();
    assert.equal(await it.call({}), "finish ok");

    await it.runnerFolder.write(believing(ofSecond.runner, second));
    await eventually(() =>
      assert.match(it.lines.join(""), /Refused a connection: its certificate .*unknown authority/),
    );
    const waiting = it.call({});
    await it.gatewayFolder.write(believing(ofSecond.gateway, first, second));

    assert.equal(await waiting, "finish ok");
  });
});
