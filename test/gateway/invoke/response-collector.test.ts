import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { NO_TIMINGS, type Finish } from "../../../core/session/frames.ts";
import { ResponseCollector } from "../../../gateway/invoke/response-collector.ts";
import { FakeRunner, someTurns } from "../../../kiln/testing/fake-runner.ts";

const OK: Finish = { ok: true, timings: NO_TIMINGS };
const FAILED: Finish = {
  ok: false,
  timings: NO_TIMINGS,
  code: "runner_lost",
  message: "gone",
  status: undefined,
  stderrTail: "",
};

/** A collector that remembers what it did: `cuts` says whether there is a connection to cut. */
function collectorFor({ detached = false, cuts = true } = {}) {
  const told: string[] = [];
  const collector = new ResponseCollector({
    detached,
    pending: () => void told.push("pending"),
    placed: () => void told.push("placed"),
    ended: (failure) => void told.push(`ended ${failure?.code ?? "well"}`),
    left: () => void told.push("left"),
    cut: () => (told.push("cut"), cuts),
  });
  collector.placed(new FakeRunner("r:1"), { containerId: "c", warm: false });
  const credit: number[] = [];
  const data = (text: string) => collector.data(Buffer.from(text), (bytes) => credit.push(bytes));
  return { collector, told, credit, data };
}

describe("ResponseCollector", () => {
  it("gives a complete answer whole", async () => {
    const { collector, told, data } = collectorFor();

    collector.head({ status: 200, headers: [["A", "b"]] });
    data("ab");
    data("c");
    collector.finish(OK);

    assert.deepEqual(await collector.ready(), { status: 200, headers: [["A", "b"]] });
    assert.equal(Buffer.from(collector.whole() ?? []).toString(), "abc");
    assert.deepEqual(told, ["placed", "ended well"]);
  });

  it("fails an answer that is over and shorter than it declared", async () => {
    const { collector, told, data } = collectorFor();

    collector.head({ status: 200, headers: [["Content-Length", "4"]] });
    data("abc");
    collector.finish(OK);

    await assert.rejects(collector.ready(), { code: "function_response", message: /declared 4 bytes and sent 3/ });
    assert.deepEqual(told, ["placed", "ended function_response"]);
  });

  it("is ready with the first byte, and then streams", async () => {
    const { collector, told, data } = collectorFor();
    collector.head({ status: 200, headers: [] });
    let ready = false;
    void collector.ready().then(() => (ready = true));
    await someTurns();
    assert.equal(ready, false);

    data("a");
    await someTurns();
    assert.equal(ready, true);
    assert.equal(collector.whole(), undefined);
    const reader = collector.stream().getReader();
    assert.equal(text(await reader.read()), "a");
    const next = reader.read();
    data("b");
    assert.equal(text(await next), "b");
    data("c");
    collector.finish(OK);
    assert.equal(text(await reader.read()), "c");
    assert.deepEqual(told, ["placed"]);
    assert.equal((await reader.read()).done, true);

    assert.deepEqual(told, ["placed", "ended well"]);
  });

  it("returns credit only as the client takes bytes", async () => {
    const { collector, credit, data } = collectorFor();
    collector.head({ status: 200, headers: [] });
    data("abc");
    // Large enough to stay a chunk of its own.
    data("d".repeat(4_096));
    const reader = collector.stream().getReader();
    await someTurns();
    assert.deepEqual(credit, []);

    await reader.read();
    await someTurns();

    assert.deepEqual(credit, [3]);
  });

  it("joins what a function writes byte by byte and a slow client lets wait, and returns the credit of every byte", async () => {
    const { collector, credit } = collectorFor();
    collector.head({ status: 200, headers: [] });
    const count = (bytes: number) => void credit.push(bytes);
    for (let i = 0; i < 100_000; i++) collector.data(Uint8Array.of(i % 251), count);

    const chunks: Uint8Array[] = [];
    for await (const chunk of collector.stream()) {
      chunks.push(chunk);
      if (credit.length === 7) collector.finish(OK);
    }

    assert.equal(chunks.length, 7);
    assert.ok(Buffer.concat(chunks).equals(Uint8Array.from({ length: 100_000 }, (_, i) => i % 251)));
    assert.deepEqual(
      credit,
      chunks.map(({ length }) => length),
    );
  });

  it("returns all credit once nobody reads", async () => {
    const { collector, told, credit, data } = collectorFor();
    collector.head({ status: 200, headers: [] });
    data("abc");
    await collector.stream().cancel();
    assert.deepEqual(told, ["placed", "left"]);

    collector.fail(new CallError("client_cancel"));
    data("de");

    assert.deepEqual(credit, [3, 2]);
    assert.deepEqual(told, ["placed", "left", "ended client_cancel"]);
  });

  it("says a failure as long as nothing is committed", async () => {
    const { collector, told, data } = collectorFor();
    collector.head({ status: 200, headers: [] });
    data("half");

    collector.finish(FAILED);

    await assert.rejects(collector.ready(), { code: "runner_lost", message: "gone" });
    assert.deepEqual(told, ["placed", "ended runner_lost"]);
  });

  it("cuts the connection for a failure after that, and never ends cleanly", async () => {
    const { collector, told, data } = collectorFor();
    collector.head({ status: 200, headers: [] });
    data("half");
    const reader = collector.stream().getReader();
    await reader.read();

    collector.finish(FAILED);

    let ended = false;
    void reader.read().then(() => (ended = true));
    await someTurns();
    assert.equal(ended, false);
    assert.deepEqual(told, ["placed", "ended runner_lost", "cut"]);
  });

  it("errors the stream where there is no connection to cut", async () => {
    const { collector, data } = collectorFor({ cuts: false });
    collector.head({ status: 200, headers: [] });
    data("half");
    const reader = collector.stream().getReader();
    await reader.read();

    collector.finish(FAILED);

    await assert.rejects(reader.read(), { code: "runner_lost" });
  });

  it("spares the connection of an answer that was given up for another", () => {
    const { collector, told, data } = collectorFor();
    collector.head({ status: 200, headers: [] });
    data("half");
    collector.stream();

    collector.abandon(new CallError("internal"));

    assert.deepEqual(told, ["placed", "ended internal"]);
  });

  it("holds a streamed body to the length that the function declared", () => {
    const short = collectorFor();
    const long = collectorFor();
    for (const { collector, data } of [short, long]) {
      collector.head({ status: 200, headers: [["content-length", "3"]] });
      data("ab");
      collector.stream();
      assert.equal(collector.declaredBytes, 3);
    }

    short.collector.finish(OK);
    long.data("cd");

    for (const { told } of [short, long]) assert.deepEqual(told, ["placed", "ended function_response", "cut"]);
  });

  it("ends with the last byte that was declared: the connection is another call's from then on", async () => {
    const [well, badly] = [collectorFor(), collectorFor()];
    for (const { collector, data } of [well, badly]) {
      collector.head({ status: 200, headers: [["content-length", "3"]] });
      data("ab");
      const reader = collector.stream().getReader();
      await reader.read();
      data("c");
      assert.equal(text(await reader.read()), "c");
      assert.equal((await reader.read()).done, true);
    }

    well.collector.finish(OK);
    badly.collector.finish(FAILED);

    assert.deepEqual(well.told, ["placed", "ended well"]);
    assert.deepEqual(badly.told, ["placed", "ended runner_lost"]);
  });

  it("is given out to its end where all of it was here before its call failed", async () => {
    const { collector, told, credit, data } = collectorFor();
    collector.head({ status: 200, headers: [["content-length", "4097"]] });
    // Large enough to stay a chunk of its own.
    const large = "b".repeat(4_096);
    data("a");
    data(large);
    const reader = collector.stream().getReader();

    collector.finish(FAILED);

    assert.equal(text(await reader.read()) + text(await reader.read()), `a${large}`);
    assert.equal((await reader.read()).done, true);
    assert.deepEqual(credit, [1, 4_096]);
    assert.deepEqual(told, ["placed", "ended runner_lost"]);
  });

  it("does not trust a length that is wrong already", () => {
    const { collector, data } = collectorFor();
    collector.head({ status: 200, headers: [["content-length", "1"]] });
    data("ab");
    collector.stream();

    assert.equal(collector.declaredBytes, undefined);
  });

  it("drops what a detached call says", async () => {
    const { collector, told, credit, data } = collectorFor({ detached: true });
    assert.equal((await collector.ready()).status, 202);

    collector.head({ status: 200, headers: [] });
    data("unheard");
    collector.finish(OK);

    assert.deepEqual(credit, [7]);
    assert.deepEqual(told, ["placed", "ended well"]);
  });

  it("ends once, whatever comes after", () => {
    const { collector, told, data } = collectorFor();
    collector.finish(FAILED);
    collector.finish(OK);
    collector.fail(new CallError("internal"));
    data("late");

    assert.deepEqual(told, ["placed", "ended runner_lost"]);
  });
});

function text(result: { readonly value?: Uint8Array | undefined }): string {
  return Buffer.from(result.value ?? []).toString();
}
