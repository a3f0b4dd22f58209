import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";

import { CallError } from "../../../../core/call-error.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";
import { attachAgain } from "../../../../runner/driver/docker/attach-again.ts";

const away = () => new CallError("docker_unavailable");
const refused = () => new CallError("runner_internal", "Docker failed: the container is paused");
const removed = () => new CallError("server_busy", "", { cause: Object.assign(new Error(), { statusCode: 404 }) });

/** Attaches again: each try fails with the next of these, and then one succeeds. */
function attaching(...failures: readonly Error[]) {
  const clock = new VirtualClock();
  const ended = Promise.withResolvers<void>();
  const gone = new AbortController();
  const triedAt: number[] = [];
  const connection = new PassThrough();
  const attach = () => {
    const failure = failures[triedAt.length];
    triedAt.push(clock.now());
    return failure === undefined ? Promise.resolve(connection) : Promise.reject(failure);
  };
  const attached = attachAgain(attach, { ended: ended.promise, gone: gone.signal, clock });
  return { clock, ended, gone, triedAt, connection, attached };
}

describe("attachAgain", () => {
  it("asks a daemon that is away every half second, and one that refuses ever more seldom", async () => {
    const failures = [
      away(),
      away(),
      refused(),
      refused(),
      refused(),
      refused(),
      refused(),
      refused(),
      away(),
      refused(),
    ];
    const { clock, attached, triedAt, connection } = attaching(...failures);

    assert.equal(await clock.until(attached), connection);

    const waits = triedAt.map((at, index) => at - (triedAt[index - 1] ?? 0));
    assert.deepEqual(waits, [500, 500, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 500, 1_000]);
    assert.equal(clock.pending, 0);
  });

  it("asks no more once the container has ended, is removed, or nobody knows it", async () => {
    const ends = attaching();
    ends.ended.resolve();
    assert.equal(await ends.attached, undefined);

    const later = attaching(away());
    await later.clock.run(600);
    later.ended.resolve();
    assert.equal(await later.attached, undefined);

    const left = attaching(refused());
    await left.clock.run(600);
    left.gone.abort();
    assert.equal(await left.attached, undefined);

    const unknown = attaching(removed());
    assert.equal(await unknown.clock.until(unknown.attached), undefined);

    assert.deepEqual(
      [ends, later, left, unknown].map(({ triedAt }) => triedAt),
      [[], [500], [500], [500]],
    );
  });
});
