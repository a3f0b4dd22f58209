import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../../../core/call-error.ts";
import { VirtualClock } from "../../../../../kiln/testing/virtual-clock.ts";
import { SharedWork } from "../../../../../runner/driver/docker/images/shared-work.ts";

interface Pull {
  readonly key: string;
  readonly signal: AbortSignal;
  readonly done: (value: string) => void;
  readonly failed: (reason: Error) => void;
}

function bench() {
  const pulls: Pull[] = [];
  const clock = new VirtualClock();
  const shared = new SharedWork<string>(600_000, clock);
  const pull = (key: string) => (signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    signal.addEventListener("abort", () => reject(signal.reason));
    pulls.push({ key, signal, done: resolve, failed: reject });
    return promise;
  };
  const late = () => new CallError("image_pull_timeout");
  return { pulls, clock, wait: (key: string, signal = forever) => shared.wait(key, pull(key), late, signal), shared };
}

const forever = new AbortController().signal;

describe("SharedWork", () => {
  it("is done once for all who want the same at the same time", async () => {
    const { pulls, wait, clock } = bench();

    const waiting = Array.from({ length: 20 }, (_, i) => wait(i % 2 === 0 ? "a" : "b"));
    for (const { key, done } of pulls) done(`${key}!`);

    assert.deepEqual(
      pulls.map(({ key }) => key),
      ["a", "b"],
    );
    assert.deepEqual(await Promise.all(waiting.slice(0, 3)), ["a!", "b!", "a!"]);
    await Promise.all(waiting);
    assert.equal(clock.pending, 0);
  });

  it("tells all of them of a failure, and tries again for the next", async () => {
    const { pulls, wait } = bench();
    const waiting = Array.from({ length: 10 }, () => wait("a"));

    pulls[0]?.failed(new CallError("image_pull_failed", "sour"));
    for (const one of waiting) await assert.rejects(one, { code: "image_pull_failed", message: "sour" });
    assert.equal(pulls.length, 1);

    const again = wait("a");
    pulls[1]?.done("a");
    await again;
    assert.equal(pulls.length, 2);
  });

  it("goes on for the others when the first leaves", async () => {
    const { pulls, wait } = bench();
    const first = new AbortController();
    const leaving = wait("a", first.signal);
    const staying = wait("a");

    first.abort(new CallError("client_cancel"));
    await assert.rejects(leaving, { code: "client_cancel" });

    assert.equal(pulls[0]?.signal.aborted, false);
    pulls[0]?.done("a");
    await staying;
  });

  it("ends when nobody waits for it, and begins anew for who comes later", async () => {
    const { pulls, wait, clock } = bench();
    const only = new AbortController();
    const leaving = wait("a", only.signal);

    only.abort();
    await assert.rejects(leaving);
    assert.equal(pulls[0]?.signal.aborted, true);

    const later = wait("a");
    pulls[1]?.done("a");
    await later;
    assert.equal(clock.pending, 0);
  });

  it("gives each who waits the whole time from when they asked, whenever it was begun", async () => {
    const { pulls, wait, clock } = bench();
    const first = wait("a");
    clock.advance(599_000);
    const follower = wait("a");

    clock.advance(1_000);
    await assert.rejects(first, { code: "image_pull_timeout" });
    await clock.settle();

    assert.equal(pulls[0]?.signal.aborted, true, "the pull had its time");
    assert.equal(pulls.length, 2, "and is begun anew for who has some left");
    clock.advance(598_999);
    pulls[1]?.done("late but there");
    assert.equal(await follower, "late but there");
    assert.equal(clock.pending, 0);
  });

  it("keeps nobody beyond their own time, though the work was begun anew", async () => {
    const { wait, clock } = bench();
    void wait("a").catch(() => {});
    clock.advance(400_000);
    const follower = wait("a");

    clock.advance(200_000);
    await clock.settle();
    clock.advance(400_000);

    await assert.rejects(follower, { code: "image_pull_timeout", status: 504 });
    await clock.settle();
    assert.equal(clock.pending, 0);
  });

  it("ends for everybody when it is told to", async () => {
    const { wait, shared } = bench();
    const waiting = [wait("a"), wait("a"), wait("b")];

    shared.end(new CallError("shutting_down"));

    for (const one of waiting) await assert.rejects(one, { code: "shutting_down" });
  });
});
