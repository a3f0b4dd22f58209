import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { pause, systemClock } from "../../core/clock.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { offeredFor, offerTo, type Outcome } from "../../kiln/testing/offer.ts";
import { processRunner } from "../../kiln/testing/process-runner.ts";
import type { DriverHook } from "../../runner/driver/driver.ts";
import type { ProcessOptions } from "../../runner/driver/process/process-driver.ts";

function control(fields: Readonly<Record<string, unknown>>) {
  return { headers: [["Probe-Control", JSON.stringify(fields)] as const] };
}

interface ProbeAnswer {
  readonly probe: { readonly mostInFlight: number; readonly connections: number };
}

function failure({ finish }: Outcome) {
  assert.ok(finish?.ok === false, `expected a failure, got ${JSON.stringify(finish)}`);
  return finish;
}

describe("a runner", async () => {
  const runner = await processRunner();
  after(() => runner[Symbol.asyncDispose]());

  it("starts a container for a first call, and runs the next one in it at once", async () => {
    const cold = await offerTo(runner, callFor("hello"), { body: '{"name":"you"}' }).outcome;
    const warm = await offerTo(runner, callFor("hello"), { body: '{"name":"you"}' }).outcome;

    assert.deepEqual(JSON.parse(cold.body.toString()), { message: "Hello, you" });
    assert.deepEqual(cold.heard.slice(0, 3), ["pending", "accepted", "head"]);
    assert.deepEqual(warm.heard.slice(0, 2), ["accepted", "head"]);
    assert.equal(warm.containerId, cold.containerId);
    assert.ok(cold.finish?.ok === true && cold.finish.timings.startMs > 0 && cold.finish.timings.initMs > 0);
    assert.ok(warm.finish?.ok === true && warm.finish.timings.startMs === 0);
  });

  it("streams a request body to the function as it comes", async () => {
    const running = offerTo(runner, callFor("probe", control({ echo: true })), { body: "one,", end: false });
    await running.said("accepted");
    running.handler.data(Buffer.from("two,"), false);
    running.handler.data(Buffer.from("three"), true);

    const { body } = await running.outcome;

    assert.equal(body.toString(), "one,two,three");
  });

  it("sends the call's id and deadline, and no header of the connection", async () => {
    const call = callFor("probe", {
      timeoutMs: 5_000,
      headers: [
        ["X-Own", "1"],
        ["Connection", "close"],
        ["Fn-Call-Id", "forged"],
      ],
    });

    const { body } = await offerTo(runner, call).outcome;

    const { header } = JSON.parse(body.toString()) as { header: Record<string, string[]> };
    const lower = Object.fromEntries(
      Object.entries(header).map(([name, value]) => [name.toLowerCase(), [value].flat()]),
    );
    assert.deepEqual(lower["fn-call-id"], [call.id]);
    assert.match(lower["fn-deadline"]?.[0] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.deepEqual(lower["x-own"], ["1"]);
    assert.notDeepEqual(lower["connection"], ["close"]);
  });

  it("ends a call at its timeout, names the clock, and never uses the container again", async () => {
    const slow = await offerTo(runner, callFor("probe", { timeoutMs: 200, ...control({ sleepTime: 5_000 }) })).outcome;
    const next = await offerTo(runner, callFor("probe", { timeoutMs: 200 })).outcome;

    assert.equal(failure(slow).code, "call_timeout");
    assert.match(
      failure(slow).message,
      /^Timed out: the function's timeout of 200 ms passed \(.*, 2\d\d ms running\)$/,
    );
    assert.notEqual(next.containerId, slow.containerId);
  });

  it("counts only the running against the timeout, and everything against the deadline", async () => {
    const call = callFor("probe", { timeoutMs: 60_000, config: { ENABLE_INIT_DELAY_MSEC: "3000" } });

    const late = await offerTo(runner, call, { remainingMs: 300 }).outcome;

    assert.equal(failure(late).code, "call_timeout");
    assert.match(
      failure(late).message,
      /deadline passed, 300 ms after .* while its container started \(3\d\d ms waiting\)$/,
    );
  });

  it("reports an exit in mid-call with its code and the last of stderr", async () => {
    const call = callFor(
      "probe",
      control({ stderr: ["about to fall"], breakAt: "beforeHead", breakHow: "exit", exitCode: 7 }),
    );

    const broken = await offerTo(runner, call).outcome;

    assert.equal(failure(broken).code, "function_response");
    assert.match(failure(broken).message, /exited with code 7/);
    assert.match(failure(broken).stderrTail, /about to fall/);
  });

  it("reports a function that exits before it listens", async () => {
    const dead = await offerTo(runner, callFor("probe", { config: { ENABLE_INIT_EXIT: "3" } })).outcome;

    assert.equal(failure(dead).code, "container_init_failed");
    assert.match(failure(dead).message, /exited with code 3/);
  });

  it("passes on what the function says of itself, and keeps the container", async () => {
    const failed = await offerTo(runner, callFor("probe", control({ httpStatus: 502 }))).outcome;
    const late = await offerTo(runner, callFor("probe", control({ httpStatus: 504 }))).outcome;

    assert.equal(failure(failed).code, "function_failed");
    assert.equal(failure(late).code, "call_timeout");
    assert.equal(late.containerId, failed.containerId);
  });

  it("ends the container of an answer that breaks the contract", async () => {
    const wrong = await offerTo(runner, callFor("probe", control({ httpStatus: 500 }))).outcome;
    const next = await offerTo(runner, callFor("probe")).outcome;

    assert.equal(failure(wrong).code, "function_invalid_response");
    assert.match(failure(wrong).message, /status 500/);
    assert.notEqual(next.containerId, wrong.containerId);
  });

  it("kills the container of a cancelled call, or lets it finish, as the function says", async () => {
    const killed = offerTo(runner, callFor("probe", { onCancel: "kill", ...control({ sleepTime: 5_000 }) }));
    const kept = offerTo(
      runner,
      callFor("probe", { onCancel: "finish", idleTimeoutMs: 29_000, ...control({ sleepTime: 300 }) }),
    );
    await Promise.all([killed.said("accepted"), kept.said("accepted")]);
    killed.handler.cancel("client_cancel");
    kept.handler.cancel("client_cancel");
    assert.equal(failure(await killed.outcome).code, "client_cancel");
    const { containerId } = await kept.outcome;

    await new Promise((resolve) => setTimeout(resolve, 600));
    const next = await offerTo(runner, callFor("probe", { onCancel: "finish", idleTimeoutMs: 29_000 })).outcome;

    assert.equal(next.containerId, containerId, "the function that may finish has its container still");
  });

  it("refuses a call with a field it cannot accept, by name, for every runner", async () => {
    const wrong = [
      callFor("hello", { memoryMiB: 0 }),
      callFor("hello", { timeoutMs: 0 }),
      callFor("../../etc", {}),
      callFor("hello", { tmpfsMiB: 256 }),
      callFor("hello", { config: { "A=B": "" } }),
      callFor("hello", { headers: [["X Y", ""]] }),
      callFor("hello", { headers: [["X-Name", "\u0141ukasz"]] }),
      callFor("hello", { headers: [["X-Name", "a\r\nX-Forged: 1"]] }),
    ];
    const named = ["memoryMiB", "timeoutMs", "image", "tmpfsMiB", "config", "headers", "X-Name", "X-Name"];
    for (const [i, call] of wrong.entries()) {
      const { refused } = await offerTo(runner, call).outcome;
      assert.equal(refused?.reason.code, "invalid_call");
      assert.match(refused.reason.message, new RegExp(named[i] ?? "?"));
      assert.equal(refused.scope, "any_runner");
    }
  });

  it("counts what it was offered apart from what it ran (unlike Fn: Q35)", async () => {
    const before = runner.status();
    await offerTo(runner, callFor("hello", { memoryMiB: 0 })).outcome;
    await offerTo(runner, callFor("hello")).outcome;

    const { received, handled, active } = runner.status();

    assert.deepEqual([received - before.received, handled - before.handled, active], [2, 1, 0]);
  });

  it("never lets calls with different extensions share a container", async () => {
    const a = await offerTo(runner, callFor("hello", { extensions: { plan: "gold" } })).outcome;
    const b = await offerTo(runner, callFor("hello", { extensions: { plan: "tin" } })).outcome;
    const again = await offerTo(runner, callFor("hello", { extensions: { plan: "gold" } })).outcome;
    const perCall = await offerTo(
      runner,
      callFor("hello", { extensions: { plan: "gold" }, callExtensions: { trace: "1" } }),
    ).outcome;

    assert.notEqual(a.containerId, b.containerId);
    assert.equal(again.containerId, a.containerId);
    assert.equal(perCall.containerId, a.containerId);
  });

  it("keeps its connection between calls, and closes one that was idle for a second", async () => {
    const call = () => callFor("probe", { idleTimeoutMs: 27_000 });
    const connections = async () => {
      const { body } = await offerTo(runner, call()).outcome;
      return (JSON.parse(body.toString()) as { probe: { connections: number } }).probe.connections;
    };
    assert.equal(await connections(), 1);
    assert.equal(await connections(), 1, "reused at once");

    await new Promise((resolve) => setTimeout(resolve, 1_500));

    assert.equal(await connections(), 2);
  });

  it("runs one call at a time in a container", async () => {
    const call = () => callFor("probe", { idleTimeoutMs: 28_000, ...control({ sleepTime: 200 }) });
    const outcomes = await Promise.all([offerTo(runner, call()).outcome, offerTo(runner, call()).outcome]);

    // On a busy machine the second may wait for the first's container, which is back before another has started.
    const probes = outcomes.map(({ body }) => (JSON.parse(body.toString()) as ProbeAnswer).probe);
    assert.equal(Math.max(...probes.map(({ mostInFlight }) => mostInFlight)), 1);
  });

  it("runs as many calls at a time in a container as its function says it can, each on a connection of its own", async () => {
    const call = (fields = {}) =>
      callFor("probe", { idleTimeoutMs: 26_000, concurrency: 4, ...control({ sleepTime: 300, ...fields }) });

    const outcomes = await Promise.all(Array.from({ length: 4 }, () => offerTo(runner, call()).outcome));

    assert.equal(new Set(outcomes.map(({ containerId }) => containerId)).size, 1);
    const probes = outcomes.map(({ body }) => (JSON.parse(body.toString()) as ProbeAnswer).probe);
    assert.equal(Math.max(...probes.map(({ mostInFlight }) => mostInFlight)), 4);
    assert.equal(Math.max(...probes.map(({ connections }) => connections)), 4);
  });

  it("lets the neighbours of a call that leaves finish, and gives its container no other", async () => {
    const call = (sleepTime: number) =>
      callFor("probe", { idleTimeoutMs: 25_000, concurrency: 4, ...control({ sleepTime }) });
    const [leaves, stays] = [offerTo(runner, call(5_000)), offerTo(runner, call(600))];
    await Promise.all([leaves.said("accepted"), stays.said("accepted")]);

    leaves.handler.cancel("client_cancel");
    assert.equal(failure(await leaves.outcome).code, "client_cancel");
    const next = await offerTo(runner, call(0)).outcome;
    const neighbour = await stays.outcome;

    assert.equal(neighbour.finish?.ok, true);
    assert.notEqual(next.containerId, neighbour.containerId);
  });

  it("takes another container once one has run as many calls as it may", async () => {
    const call = () => callFor("probe", { idleTimeoutMs: 24_000, maxCalls: 2 });
    const ids: (string | undefined)[] = [];

    for (let i = 0; i < 4; i += 1) ids.push((await offerTo(runner, call()).outcome).containerId);

    assert.equal(ids[1], ids[0]);
    assert.equal(ids[3], ids[2]);
    assert.notEqual(ids[2], ids[0]);
  });
});

describe("a runner under load", () => {
  it("serves 64 clients of a fast function with a handful of containers", async () => {
    // Room for all the containers that Fn would start.
    const resources = { memoryMiB: 64 * 1_024, cpuMillis: 64_000 };
    const limits = { freezeIdleMs: -1, initTimeoutMs: 30_000, slotWaitMs: 60_000 };
    // However busy the machine is that runs this, a start takes far longer than a call.
    const slowly: DriverHook<ProcessOptions> = {
      start: (next) => async (start, signal) => {
        await pause(systemClock, 1_000);
        return next(start, signal);
      },
    };
    await using runner = await processRunner({ resources, limits, hooks: [slowly] });
    const containers = new Set<string | undefined>();
    const client = async () => {
      for (let i = 0; i < 20; i += 1) {
        const { finish, containerId } = await offerTo(runner, callFor("hello"), { body: '{"name":"you"}' }).outcome;
        assert.equal(finish?.ok, true);
        containers.add(containerId);
      }
    };

    await Promise.all(Array.from({ length: 64 }, client));

    assert.ok(containers.size <= 16, `${containers.size} containers ran calls`);
  });

  it("refuses as too big only here what fits no container of its own, so that a larger runner may take it", async () => {
    await using runner = await processRunner({ resources: { memoryMiB: 100, cpuMillis: 1_000 } });

    const { refused } = await offerTo(runner, callFor("hello", { memoryMiB: 90, tmpfsMiB: 20 })).outcome;

    assert.equal(refused?.reason.code, "resource_too_big");
    assert.equal(refused?.scope, "this_runner");
    assert.match(refused?.reason.message ?? "", /needs 110 MiB .* the runner has 100 MiB/);
  });

  it("takes memory 0 for a mistake, never for no limit", async () => {
    await using runner = await processRunner();

    const { refused } = await offerTo(runner, callFor("hello", { memoryMiB: 0 })).outcome;

    assert.equal(refused?.reason.code, "invalid_call");
    assert.match(refused?.reason.message ?? "", /memoryMiB is 0, expected an integer from 1 to 8192/);
  });

  it("tells the error of a start to every call that waits for it", async () => {
    await using runner = await processRunner({ limits: { startsAtOnce: 1 } });
    const call = () => callFor("probe", { concurrency: 8, config: { ENABLE_INIT_EXIT: "3" } });

    const outcomes = await Promise.all(Array.from({ length: 8 }, () => offerTo(runner, call()).outcome));

    for (const outcome of outcomes) assert.equal(failure(outcome).code, "container_init_failed");
  });
});

describe("a runner with policies", () => {
  it("applies its overriders before the driver sees the call, and hooks around starts and calls", async () => {
    const seen: string[] = [];
    await using runner = await processRunner({
      overriders: [(call) => ({ ...call, extensions: { ...call.extensions, FN_WINE: "1982 Margaux" } })],
      hooks: [
        {
          start: (next) => (start, signal) => {
            start.options.env = { ...start.options.env, ...start.task.extensions };
            return next(start, signal);
          },
          call: (next) => async (call, signal) => {
            seen.push(`before ${call.callExtensions["trace"]}`);
            await next(call, signal);
            seen.push("after");
          },
        },
      ],
    });

    const { body } = await offerTo(runner, callFor("probe", { callExtensions: { trace: "7" } })).outcome;

    const { config } = JSON.parse(body.toString()) as { config: Record<string, string> };
    assert.equal(config["FN_WINE"], "1982 Margaux");
    assert.deepEqual(seen, ["before 7", "after"]);
  });

  it("makes a call hook's error the call's own, and ends the container", async () => {
    let refuse = true;
    await using runner = await processRunner({
      hooks: [
        {
          call: (next) => async (call, signal) => {
            if (refuse) throw new Error("not today");
            await next(call, signal);
          },
        },
      ],
    });

    const refused = await offerTo(runner, callFor("hello")).outcome;
    refuse = false;
    const next = await offerTo(runner, callFor("hello")).outcome;

    assert.equal(failure(refused).code, "hook_failed");
    assert.notEqual(next.containerId, refused.containerId);
  });

  it("gives no container to another call because a hook hid that this one still runs", async () => {
    await using runner = await processRunner({
      hooks: [{ call: (next) => (call, signal) => next(call, signal).catch(() => {}) }],
    });

    const slow = await offerTo(runner, callFor("probe", { timeoutMs: 200, ...control({ sleepTime: 5_000 }) })).outcome;
    const next = await offerTo(runner, callFor("probe", { timeoutMs: 200 })).outcome;

    assert.equal(failure(slow).code, "call_timeout");
    assert.notEqual(next.containerId, slow.containerId);
  });

  it("blames a hook that does not wait for the call", async () => {
    await using runner = await processRunner({
      hooks: [
        {
          call: (next) => (call, signal) => {
            void next(call, signal).catch(() => {});
            return Promise.resolve();
          },
        },
      ],
    });

    const lost = await offerTo(runner, callFor("probe", control({ sleepTime: 300 }))).outcome;

    assert.equal(failure(lost).code, "hook_failed");
  });

  it("ends a call at its timeout though a hook never ends", async () => {
    await using runner = await processRunner({
      limits: { drainMs: 100 },
      hooks: [{ call: () => () => new Promise(() => {}) }],
    });

    const stuck = await offerTo(runner, callFor("probe", { timeoutMs: 100 })).outcome;

    assert.equal(failure(stuck).code, "call_timeout");
    assert.equal(runner.status().active, 0);
  });

  it("gives up a start that a hook never ends, and removes what still comes of it", async () => {
    const release = Promise.withResolvers<void>();
    await using runner = await processRunner({
      limits: { startTimeoutMs: 200 },
      hooks: [
        {
          start: (next) => async (start, signal) => {
            await release.promise;
            return next(start, signal);
          },
        },
      ],
    });

    const { finish, refused } = await offerTo(runner, callFor("hello")).outcome;
    release.resolve();

    assert.equal(finish?.ok === false ? finish.code : refused?.reason.code, "container_start_timeout");
  });

  it("ends a call that its gateway never starts, and keeps the container", async () => {
    await using runner = await processRunner();
    const heard: string[] = [];
    runner.offer(offeredFor(callFor("hello"), { remainingMs: 1_500 }), {
      refuse: ({ code }) => void heard.push(`refused ${code}`),
      pending: () => void heard.push("pending"),
      accept: () => void heard.push("accepted"),
      head() {},
      write: () => true,
      consumed() {},
      finish: (finish) => void heard.push(finish.ok ? "ok" : finish.code),
    });

    await eventually(() => assert.deepEqual(heard, ["pending", "accepted", "call_timeout"]));
    assert.equal(runner.status().active, 0);
  });

  it("reports a response over its limit as such", async () => {
    await using runner = await processRunner({ limits: { maxResponseBytes: 1_000 } });

    const declared = await offerTo(runner, callFor("probe", control({ outputBytes: 5_000, declareLength: true })))
      .outcome;
    const chunked = await offerTo(runner, callFor("probe", control({ outputBytes: 5_000, chunkBytes: 600 }))).outcome;

    assert.equal(failure(declared).code, "function_response_too_big");
    assert.ok(!declared.heard.includes("head"), "a declared length is refused before anything is sent");
    assert.equal(failure(chunked).code, "function_response_too_big");
  });

  it("drains: it refuses new calls, lets running ones finish, and leaves nothing", async () => {
    const runner = await processRunner();
    const running = offerTo(runner, callFor("probe", control({ sleepTime: 300 })));
    await running.said("accepted");

    const drained = runner[Symbol.asyncDispose]();
    const refused = await offerTo(runner, callFor("probe")).outcome;
    await drained;

    assert.equal(refused.refused?.reason.code, "shutting_down");
    assert.equal((await running.outcome).finish?.ok, true);
    assert.deepEqual(runner.status().active, 0);
  });

  it("refuses what was still starting when the drain is over, so that another runner may take it", async () => {
    const runner = await processRunner({ limits: { drainMs: 50 } });
    const call = callFor("probe", { config: { ENABLE_INIT_DELAY_MSEC: "3000" } });
    const starting = offerTo(runner, call);
    await starting.said("pending");

    await runner[Symbol.asyncDispose]();

    const { refused } = await starting.outcome;
    assert.deepEqual([refused?.reason.code, refused?.scope], ["shutting_down", "this_runner"]);
  });

  it("ends what still runs when the drain is over", async () => {
    const runner = await processRunner({ limits: { drainMs: 50 } });
    const running = offerTo(runner, callFor("probe", control({ sleepTime: 20_000 })));
    await running.said("accepted");

    await runner[Symbol.asyncDispose]();

    assert.equal(failure(await running.outcome).code, "shutting_down");
  });
});
