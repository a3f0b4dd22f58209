import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { CallError } from "../../../core/call-error.ts";
import { NO_TIMINGS } from "../../../core/session/frames.ts";
import type { StatusCheck } from "../../../core/status-check.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { KeptChecks } from "../../../runner/status/kept-checks.ts";

const NOTHING: StatusCheck = {
  failure: undefined,
  callId: "",
  details: new Uint8Array(),
  createdAtMs: 0,
  completedAtMs: 0,
  timings: NO_TIMINGS,
  cached: false,
  networkDisabled: false,
  custom: {},
};

/** Checks that take a second each; `runs` has the body of each, in their order. */
function checks() {
  const clock = new VirtualClock();
  const runs: string[] = [];
  const kept = new KeptChecks(async (body) => {
    const callId = `${runs.push(body.toString())}`;
    await new Promise<void>((resolve) => void clock.after(1_000, resolve));
    return { ...NOTHING, callId, details: body };
  }, clock);
  const get = (body = "{}", signal = new AbortController().signal) => kept.get(Buffer.from(body), signal);
  return { clock, runs, get };
}

describe("KeptChecks", () => {
  it("runs once for all who ask meanwhile, and only the first to hear is told that it is fresh", async () => {
    const { clock, runs, get } = checks();

    const told = await clock.until(Promise.all([get(), get(), get()]));

    assert.deepEqual(
      told.map(({ callId, cached }) => [callId, cached]),
      [
        ["1", false],
        ["1", true],
        ["1", true],
      ],
    );
    assert.equal(runs.length, 1);
  });

  it("keeps what it found for 1.5 s from its end, and then runs anew", async () => {
    const { clock, get } = checks();
    await clock.until(get());

    clock.advance(1_499);
    assert.equal((await get()).callId, "1");
    clock.advance(1);
    const fresh = await clock.until(get());

    assert.deepEqual([fresh.callId, fresh.cached], ["2", false]);
  });

  it("never answers one body with what another got, and runs one after the other", async () => {
    const { clock, runs, get } = checks();

    const both = Promise.all([get('{"a":1}'), get('{"b":2}'), get('{"a":1}')]);
    await clock.settle();
    assert.equal(runs.length, 1);
    const told = await clock.until(both);

    assert.deepEqual(
      told.map(({ details }) => details.toString()),
      ['{"a":1}', '{"b":2}', '{"a":1}'],
    );
    assert.deepEqual(runs, ['{"a":1}', '{"b":2}']);
  });

  it("goes on when the one who asked has left, for whoever asks next", async () => {
    const { clock, runs, get } = checks();
    const leaving = new AbortController();
    const left = assert.rejects(get("{}", leaving.signal), (error) => (error as CallError).code === "client_cancel");
    await clock.settle();

    leaving.abort();
    await left;
    const told = await clock.until(get());

    assert.deepEqual([told.callId, told.cached, runs.length], ["1", false, 1]);
  });

  it("has a bound for different bodies, and room again once they are forgotten", async () => {
    const { clock, get } = checks();
    const sixteen = Promise.all(Array.from({ length: 16 }, (_, n) => get(`${n}`)));

    await assert.rejects(get("one more"), (error) => (error as CallError).code === "too_many_requests");
    await clock.until(sixteen);
    clock.advance(1_500);

    assert.equal((await clock.until(get("one more"))).cached, false);
  });
});
