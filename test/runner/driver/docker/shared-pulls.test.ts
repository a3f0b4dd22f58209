import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../../core/call-error.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";
import { SharedPulls } from "../../../../runner/driver/docker/shared-pulls.ts";

interface Pull {
  readonly image: string;
  readonly token: string;
  readonly signal: AbortSignal;
  readonly done: () => void;
  readonly failed: (reason: Error) => void;
}

function bench() {
  const pulls: Pull[] = [];
  const clock = new VirtualClock();
  const shared = new SharedPulls(
    (image, token, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => reject(signal.reason));
      pulls.push({ image, token, signal, done: resolve, failed: reject });
      return promise;
    },
    600_000,
    clock,
  );
  return { pulls, clock, shared };
}

const forever = new AbortController().signal;

describe("SharedPulls", () => {
  it("pulls once for all who want the same image with the same token", async () => {
    const { pulls, shared } = bench();

    const waiting = [
      ...Array.from({ length: 20 }, () => shared.wait("a", "", forever)),
      shared.wait("a", "token", forever),
      shared.wait("b", "", forever),
    ];
    for (const pull of pulls) pull.done();
    await Promise.all(waiting);

    assert.deepEqual(
      pulls.map(({ image, token }) => [image, token]),
      [
        ["a", ""],
        ["a", "token"],
        ["b", ""],
      ],
    );
  });

  it("tells all of them of a failure, and tries again for the next", async () => {
    const { pulls, shared } = bench();
    const waiting = [shared.wait("a", "", forever), shared.wait("a", "", forever)];

    pulls[0]?.failed(new CallError("image_pull_failed"));
    for (const wait of waiting) await assert.rejects(wait, { code: "image_pull_failed" });

    const again = shared.wait("a", "", forever);
    pulls[1]?.done();
    await again;
    assert.equal(pulls.length, 2);
  });

  it("goes on for the others when the first leaves", async () => {
    const { pulls, shared } = bench();
    const first = new AbortController();
    const leaving = shared.wait("a", "", first.signal);
    const staying = shared.wait("a", "", forever);

    first.abort(new CallError("client_cancel"));
    await assert.rejects(leaving, { code: "client_cancel" });

    assert.equal(pulls[0]?.signal.aborted, false);
    pulls[0]?.done();
    await staying;
  });

  it("ends a pull that nobody waits for, and begins anew for who comes later", async () => {
    const { pulls, shared, clock } = bench();
    const only = new AbortController();
    const leaving = shared.wait("a", "", only.signal);

    only.abort();
    await assert.rejects(leaving);
    assert.equal(pulls[0]?.signal.aborted, true);

    const later = shared.wait("a", "", forever);
    pulls[1]?.done();
    await later;
    assert.equal(clock.pending, 0);
  });

  it("has a time of its own", async () => {
    const { shared, clock } = bench();
    const waiting = shared.wait("a", "", forever);

    clock.advance(600_000);

    await assert.rejects(waiting, {
      code: "image_pull_timeout",
      status: 504,
      message: /'a' was not there after 600000 ms/,
    });
  });
});
