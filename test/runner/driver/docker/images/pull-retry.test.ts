import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../../../core/call-error.ts";
import { VirtualClock } from "../../../../../kiln/testing/virtual-clock.ts";
import {
  backoffMs,
  PULL_TROUBLES,
  withRetries,
  type PullRetries,
} from "../../../../../runner/driver/docker/images/pull-retry.ts";

const policy: PullRetries = { retries: 5, minDelayMs: 1_000, stepMs: 100, maxDelayMs: 5_000, on: ["toomanyrequests"] };
const forever = new AbortController().signal;
const tooMany = () => new CallError("image_pull_failed", "toomanyrequests: slow down");
const isRetried = (error: unknown): error is CallError => error instanceof CallError && /toomany/.test(error.message);

function bench(failures: readonly Error[], changes: Partial<PullRetries> = {}) {
  const clock = new VirtualClock();
  const told: number[] = [];
  let tries = 0;
  const attempt = async () => {
    const failure = failures[tries++];
    if (failure !== undefined) throw failure;
    return "pulled";
  };
  const retrying = {
    policy: { ...policy, ...changes },
    clock,
    retried: (_reason: CallError, retry: number) => told.push(retry),
    chance: () => 0,
  };
  return {
    clock,
    told,
    tries: () => tries,
    run: (signal = forever) => withRetries(attempt, isRetried, retrying, signal),
  };
}

describe("backoffMs", () => {
  it("is fixed without a step (Fn's TestBackoff2)", () => {
    assert.deepEqual(
      [1, 2, 9].map((retry) => backoffMs({ ...policy, stepMs: 0 }, retry, 0.99)),
      [1_000, 1_000, 1_000],
    );
  });

  it("lies between its least and 1100, 1300, 1700, 2500, 4100 ms (Fn's TestBackoff3)", () => {
    const range = (chance: number) => [1, 2, 3, 4, 5].map((retry) => backoffMs(policy, retry, chance));

    assert.deepEqual(range(0), [1_000, 1_000, 1_000, 1_000, 1_000]);
    assert.deepEqual(range(1), [1_100, 1_300, 1_700, 2_500, 4_100]);
  });

  it("is never over its most (Fn's TestBackoff4)", () => {
    assert.equal(backoffMs({ ...policy, maxDelayMs: 2_000 }, 60, 1), 2_000);
    assert.equal(backoffMs({ ...policy, maxDelayMs: 500 }, 60, 1), 1_000);
  });
});

describe("withRetries", () => {
  it("tries again after what the policy names, with its waits between (Fn's TestImagePullConcurrent3)", async () => {
    const { clock, told, run } = bench([tooMany(), tooMany()]);

    const running = run();
    await clock.run(999);
    assert.deepEqual(told, [1]);
    await clock.run(1_001);

    assert.equal(await running, "pulled");
    assert.deepEqual(told, [1, 2]);
    assert.equal(clock.pending, 0);
  });

  it("fails with the last failure once its tries are used up", async () => {
    const { clock, tries, run } = bench(Array.from({ length: 20 }, tooMany), { retries: 3 });

    await assert.rejects(clock.until(run()), /slow down/);

    assert.equal(tries(), 4);
  });

  it("does not try again without retries, nor after anything else (Fn's TestBackoff1, TestDockerPullNoRetry)", async () => {
    for (const [failure, retries] of [
      [tooMany(), 0],
      [new CallError("image_pull_failed", "manifest unknown"), 5],
      [new Error("toomany"), 5],
    ] as const) {
      const { tries, run } = bench([failure], { retries });

      await assert.rejects(run(), failure);

      assert.equal(tries(), 1);
    }
  });

  it("waits no longer than its caller", async () => {
    const { clock, tries, run } = bench([tooMany()]);
    const leaving = new AbortController();
    const running = run(leaving.signal);
    await clock.settle();

    leaving.abort();

    await assert.rejects(running, /slow down/);
    assert.equal(tries(), 1);
    assert.equal(clock.pending, 0);
  });
});

describe("PULL_TROUBLES", () => {
  const ROWS: Readonly<Record<string, keyof typeof PULL_TROUBLES | undefined>> = {
    "toomanyrequests: You have reached your pull rate limit": "toomanyrequests",
    "received unexpected HTTP status: 503 Service Unavailable": "5xx",
    "error parsing HTTP 502 response body: 502 Bad Gateway": "5xx",
    "dial tcp 127.0.0.1:1: connect: connection refused": "network",
    "net/http: TLS handshake timeout": "network",
    "unauthorized: authentication required": undefined,
    "manifest for a/b:500 not found: manifest unknown": undefined,
    "filesystem layer verification failed for digest sha256:500": undefined,
  };
  for (const [message, trouble] of Object.entries(ROWS)) {
    it(`make ${trouble ?? "nothing"} of "${message}"`, () => {
      const found = Object.entries(PULL_TROUBLES).filter(([, words]) => words.test(message));

      assert.deepEqual(
        found.map(([name]) => name),
        trouble === undefined ? [] : [trouble],
      );
    });
  }
});
