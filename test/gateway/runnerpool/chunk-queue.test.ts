import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ChunkQueue } from "../../../gateway/runnerpool/chunk-queue.ts";

function queueOf(fullBytes: number) {
  const told: string[] = [];
  const queue = new ChunkQueue(fullBytes, { room: () => told.push("room"), abandoned: () => told.push("abandoned") });
  return { queue, told };
}

/** What is not joined. */
const LARGE = 4_096;
const bytes = (length: number) => new Uint8Array(length);

describe("ChunkQueue", () => {
  it("is full at its limit, and tells of room once when half of that is read", async () => {
    const { queue, told } = queueOf(4 * LARGE);

    assert.deepEqual(
      [LARGE, LARGE, LARGE, LARGE].map((length) => queue.push(bytes(length))),
      [true, true, true, false],
    );
    await queue.next();
    assert.deepEqual(told, []);
    await queue.next();
    await queue.next();

    assert.deepEqual(told, ["room"]);
  });

  it("joins what comes byte by byte and waits, and counts every byte", async () => {
    const { queue, told } = queueOf(100_000);
    const full = Array.from({ length: 100_000 }, (_, i) => queue.push(Uint8Array.of(i % 251))).indexOf(false);
    queue.end();

    const chunks: Uint8Array[] = [];
    for await (const chunk of queue) chunks.push(chunk);

    assert.equal(full, 99_999);
    assert.equal(chunks.length, 7);
    assert.ok(Buffer.concat(chunks).equals(Uint8Array.from({ length: 100_000 }, (_, i) => i % 251)));
    assert.deepEqual(told, ["room"]);
  });

  it("hands a chunk to a reader that waits", async () => {
    const { queue } = queueOf(1);
    const reading = queue.next();

    assert.equal(queue.push(bytes(3)), true);

    assert.equal((await reading).value?.length, 3);
  });

  it("gives what came before its end, and before its failure", async () => {
    const { queue: ended } = queueOf(9);
    ended.push(bytes(1));
    ended.end();
    const { queue: failed } = queueOf(9);
    failed.push(bytes(1));
    failed.fail(new Error("broken"));

    assert.equal((await ended.next()).value?.length, 1);
    assert.equal((await ended.next()).done, true);
    assert.equal((await failed.next()).value?.length, 1);
    await assert.rejects(failed.next(), /broken/);
  });

  it("forgets what it holds when it is aborted, and keeps its first end", async () => {
    const { queue } = queueOf(9);
    queue.push(bytes(1));

    queue.abort(new Error("cancelled"));
    queue.fail(new Error("later"));
    queue.push(bytes(1));

    await assert.rejects(queue.next(), /cancelled/);
  });

  it("does not look whole when it is aborted between its end and the reading of it", async () => {
    const { queue } = queueOf(9);
    queue.push(bytes(1));
    queue.end();

    queue.abort(new Error("cancelled"));

    await assert.rejects(queue.next(), /cancelled/);
  });

  it("tells when its reader leaves before the end, and then only", async () => {
    const { queue: left, told } = queueOf(9);
    left.push(bytes(1));
    for await (const _ of left) break;
    assert.deepEqual(told, ["abandoned"]);
    assert.equal((await left.next()).done, true);

    const { queue: read, told: nothing } = queueOf(9);
    read.end();
    for await (const _ of read) assert.fail("empty");
    await read.return();
    assert.deepEqual(nothing, []);
  });

  it("throws on what it was told to throw", async () => {
    const { queue, told } = queueOf(9);

    await assert.rejects(queue.throw(new Error("reader failed")), /reader failed/);

    assert.deepEqual(told, ["abandoned"]);
  });

  it("refuses two reads at once", async () => {
    const { queue } = queueOf(9);
    const first = queue.next();

    await assert.rejects(queue.next(), TypeError);

    queue.end();
    assert.equal((await first).done, true);
  });
});
