import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ChunkList } from "../../../core/session/chunk-list.ts";

const MANY = 100_000;
const byteAt = (i: number) => i % 251;
const one = (i: number) => Uint8Array.of(byteAt(i));
const inOrder = (length: number) => Uint8Array.from({ length }, (_, i) => byteAt(i));

function taken(list: ChunkList): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let chunk = list.take(); chunk !== undefined; chunk = list.take()) chunks.push(chunk);
  return chunks;
}

describe("ChunkList", () => {
  it("joins small chunks that wait, in their order, to pieces of 16 KiB", () => {
    for (const takeOut of [taken, (list: ChunkList) => list.takeAll()]) {
      const list = new ChunkList();
      for (let i = 0; i < MANY; i++) list.push(one(i));
      assert.equal(list.bytes, MANY);

      const chunks = takeOut(list);

      assert.deepEqual(
        chunks.map(({ length }) => length),
        [...Array.from({ length: 6 }, () => 16_384), MANY - 6 * 16_384],
      );
      assert.ok(Buffer.concat(chunks).equals(inOrder(MANY)));
      assert.equal(list.bytes, 0);
      assert.equal(list.take(), undefined);
    }
  });

  it("gives out what waits alone, and what is large, as it came", () => {
    const list = new ChunkList();
    const chunks = [new Uint8Array(10), new Uint8Array(4_096), new Uint8Array(4_096), new Uint8Array(4_095)];
    for (const chunk of chunks) list.push(chunk);

    const all = list.takeAll();

    assert.equal(all.length, chunks.length);
    assert.ok(all.every((chunk, i) => chunk === chunks[i]));
  });

  it("writes over nothing that it was given or has given out", () => {
    const list = new ChunkList();
    // A view with memory after it that is somebody else's.
    const others = new Uint8Array(64).fill(9);
    const first = others.subarray(0, 1);
    const out: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    list.push(first);
    for (let i = 0; i < 5_000; i++) {
      list.push(one(i));
      // Less than waits, so that there is always something to append to.
      const chunk = i % 3 === 0 ? list.take(2) : undefined;
      if (chunk === undefined) continue;
      out.push(chunk);
      copies.push(chunk.slice());
    }
    out.push(...list.takeAll());

    assert.ok(copies.every((copy, i) => Buffer.compare(copy, out[i] ?? first) === 0));
    assert.ok(Buffer.concat(out).equals(Buffer.concat([Uint8Array.of(9), inOrder(5_000)])));
    assert.ok(others.every((byte) => byte === 9));
  });

  it("takes no more than it is asked for, and nothing for nothing", () => {
    const list = new ChunkList();
    list.push(inOrder(10));

    assert.equal(list.take(0), undefined);
    assert.deepEqual(list.take(4), inOrder(4));
    assert.equal(list.bytes, 6);
    list.clear();
    assert.equal(list.bytes + list.takeAll().length, 0);
  });

  it("takes first what was put back", () => {
    const list = new ChunkList();
    list.push(inOrder(10));

    const taken = list.take() ?? new Uint8Array();
    list.push(one(10));
    list.putBack(taken.subarray(4));

    assert.equal(list.bytes, 7);
    assert.deepEqual(Buffer.concat(list.takeAll()), Buffer.from(inOrder(11).subarray(4)));
  });
});
