import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { silentLog } from "../../../core/log.ts";
import { keepWorker } from "../../../core/workers/kept-worker.ts";
import type { Serving } from "../../../core/workers/worker-place.ts";
import type { WorkerExit, WorkerProcess } from "../../../core/workers/worker-process.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

const SERVING = { address: "127.0.0.1:9190" };
const KILLED = { code: null, signal: "SIGKILL" };
const FAILED = { code: 1, signal: null };

/** A process of the worker: the test says when it serves, and how it ends. */
class Process implements WorkerProcess {
  readonly pid = 4711;
  readonly orders: string[] = [];
  readonly before: Serving | undefined;
  readonly #serving = Promise.withResolvers<Serving | undefined>();
  readonly #exited = Promise.withResolvers<WorkerExit>();
  readonly serving = this.#serving.promise;
  readonly exited = this.#exited.promise;
  readonly vitals = { metrics: () => [], readiness: () => ({ ready: true, detail: "takes calls" }) };
  readonly stop = () => void this.orders.push("stop");
  readonly hurry = () => void this.orders.push("hurry");
  readonly kill = () => void this.orders.push("kill");

  constructor(before: Serving | undefined) {
    this.before = before;
  }

  serves(): void {
    this.#serving.resolve(SERVING);
  }

  ends(exit: WorkerExit): void {
    this.#serving.resolve(undefined);
    this.#exited.resolve(exit);
  }
}

function kept() {
  const clock = new VirtualClock();
  const asked = new AbortController();
  const hurried = new AbortController();
  const processes: Process[] = [];
  const others = { mayServe: false };
  const heard: string[] = [];
  const worker = keepWorker({
    number: 1,
    start(before) {
      const started = new Process(before);
      processes.push(started);
      return started;
    },
    restartMaxMs: 10_000,
    graceMs: 30_000,
    cleanUpMs: 30_000,
    stop: { asked: asked.signal, hurried: hurried.signal },
    left: () => heard.push("left"),
    again: () => heard.push("again"),
    othersMayServe: () => others.mayServe,
    lost: () => heard.push("lost"),
    clock,
    log: silentLog,
  });
  const latest = () => processes.at(-1) ?? assert.fail("none was started");
  /** Lets the latest process do something, and time pass. */
  const play = async (act: (latest: Process) => void, ms = 0) => {
    act(latest());
    await clock.run(ms);
  };
  return { worker, clock, asked, hurried, processes, others, heard, latest, play };
}

describe("keepWorker", () => {
  it("starts another in the place of one that ended unasked, and waits twice as long each time", async () => {
    const { worker, processes, others, heard, latest, play } = kept();
    others.mayServe = true;
    await play((process) => process.serves());
    assert.deepEqual(worker.serving, SERVING);

    await play((process) => process.ends(KILLED), 99);
    assert.equal(processes.length, 1);
    await play(() => {}, 1);
    assert.equal(processes.length, 2);
    await play((process) => process.ends(FAILED), 199);
    assert.equal(processes.length, 2);
    await play(() => {}, 1);

    assert.equal(processes.length, 3);
    assert.deepEqual(latest().before, SERVING);
    assert.deepEqual(heard, ["left", "again", "left", "again"]);
  });

  it("is given up only where its start has failed and no other may serve", async () => {
    const { worker, processes, others, heard, play } = kept();
    await play((process) => process.serves());

    await play((process) => process.ends(KILLED));
    assert.equal(worker.mayServe, true, "no start has failed yet");
    others.mayServe = true;
    await play(() => {}, 100);
    await play((process) => process.ends(FAILED));
    assert.equal(worker.mayServe, false, "its last start has failed");
    await play(() => {}, 200);
    assert.equal(worker.mayServe, true, "it is being started");
    others.mayServe = false;
    await play((process) => process.ends(FAILED), 60_000);

    assert.equal(worker.mayServe, false);
    assert.deepEqual([processes.length, heard.at(-1)], [3, "lost"]);
  });

  it("starts none in the place of one that a signal to all of them ended first", async () => {
    const { worker, asked, processes, play } = kept();
    await play((process) => process.serves());
    asked.abort();

    await play((process) => process.ends({ code: 0, signal: null }), 60_000);

    assert.equal(processes.length, 1);
    assert.equal(await worker.end(), 0);
  });

  it("does not start the next one where a stop comes while it waits for that", async () => {
    const { worker, asked, processes, play } = kept();
    await play((process) => process.serves());
    await play((process) => process.ends({ code: 3, signal: null }));

    asked.abort();
    await play(() => {}, 60_000);

    assert.equal(processes.length, 1);
    assert.equal(await worker.end(), 3);
  });

  it("has ended well where a stop cuts its start, unless it had to be killed", async () => {
    for (const [exit, code] of [
      [{ code: null, signal: "SIGINT" }, 0],
      [FAILED, 0],
      [KILLED, 1],
    ] as const) {
      const { worker, asked, play } = kept();
      asked.abort();
      await play((process) => process.ends(exit));

      await assert.rejects(worker.began, /^Error: Worker 1 .* before it served$/);
      assert.equal(await worker.end(), code, `${exit.signal}`);
    }
  });

  it("has not ended well where a signal ended what served, or its start had failed before the stop", async () => {
    const serving = kept();
    await serving.play((process) => process.serves());
    serving.asked.abort();
    await serving.play((process) => process.ends({ code: null, signal: "SIGTERM" }));
    assert.equal(await serving.worker.end(), 1);

    const failed = kept();
    await failed.play((process) => process.ends(FAILED));
    failed.asked.abort();
    assert.equal(await failed.worker.end(), 1);
  });

  it("hurries a process that is still being started, and kills it in the end", async () => {
    const { worker, clock, asked, hurried, latest, play } = kept();
    asked.abort();
    const ended = worker.end();
    await clock.run(1_000);
    assert.deepEqual(latest().orders, ["stop"]);

    hurried.abort();
    await clock.run(44_999);
    assert.deepEqual(latest().orders, ["stop", "hurry"]);
    await clock.run(1);
    assert.deepEqual(latest().orders, ["stop", "hurry", "kill"]);
    await play((process) => process.ends(KILLED));

    assert.equal(await ended, 1);
  });

  it("says why no process could be started", async () => {
    const { worker, play } = kept();
    await play((process) => process.ends({ ...FAILED, reason: "spawn ENOMEM" }));

    await assert.rejects(worker.began, { message: "Worker 1 could not be started: spawn ENOMEM" });
  });
});
