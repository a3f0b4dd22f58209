import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BodyInbox } from "../../../runner/calls/body-inbox.ts";

describe("BodyInbox", () => {
  it("joins a body that comes byte by byte and waits, and tells of every byte once it is read", async () => {
    const consumed: number[] = [];
    const inbox = new BodyInbox(Uint8Array.of(7), (bytes) => consumed.push(bytes));
    for (let i = 0; i < 100_000; i++) inbox.push(Uint8Array.of(i % 251), false);
    inbox.push(new Uint8Array(), true);

    const reads: (readonly Uint8Array[])[] = [];
    for await (const chunks of inbox.read()) {
      assert.deepEqual(consumed, [], "what is being read has not left memory");
      reads.push(chunks);
    }

    assert.deepEqual(
      reads.map(({ length }) => length),
      [1, 7],
    );
    const expected = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
    assert.ok(Buffer.concat(reads.flat()).equals(Buffer.concat([Uint8Array.of(7), expected])));
    assert.deepEqual(consumed, [100_000]);
  });
});
