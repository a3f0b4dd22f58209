import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import type { HeaderList } from "../../../core/call.ts";
import { NO_CAPACITY, NO_TIMINGS, type RunnerFrame } from "../../../core/session/frames.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { RecordingHandler, SessionPair } from "../../../kiln/testing/session-pair.ts";

const OK = { ok: true, timings: NO_TIMINGS } as const;

interface Offering {
  readonly end?: boolean;
  readonly body?: Uint8Array;
  readonly idempotent?: boolean;
  readonly headers?: HeaderList;
}

function offer(
  pair: SessionPair,
  { end = true, body = new Uint8Array(3), idempotent = false, headers = [] }: Offering = {},
) {
  const handler = new RecordingHandler();
  const offered = { call: callFor("fn", { idempotent, headers }), remainingMs: 1_000, affinityKey: "key", body, end };
  const number = pair.gateway.offer(offered, handler);
  return { handler, number };
}

function onlyCall(pair: SessionPair) {
  const [call] = pair.calls;
  assert.ok(call !== undefined, "the runner was offered a call");
  return call;
}

describe("a session", () => {
  it("runs a warm call at once and carries its answer in order", () => {
    const pair = new SessionPair();
    const { handler } = offer(pair);
    pair.toRunner();

    const { port } = onlyCall(pair);
    port.accept("c1");
    port.head({ status: 200, headers: [] });
    port.write(new Uint8Array(5));
    port.finish(OK);
    pair.settle();

    assert.deepEqual(handler.heard, ["placed warm", "head", "data 5", "finish ok"]);
    assert.equal(pair.gateway.size + pair.runner.size, 0);
  });

  it("takes a small answer without making its function wait, and a large one a piece at a time", () => {
    const pair = new SessionPair();
    offer(pair);
    pair.toRunner();
    const { port, heard } = onlyCall(pair);
    port.accept("c1");

    assert.equal(port.write(new Uint8Array(1_000)), true);
    pair.toGateway();
    assert.deepEqual(heard, [], "nobody waited to be told");

    assert.equal(port.write(new Uint8Array(40_000)), true);
    assert.equal(port.write(new Uint8Array(40_000)), false);
    pair.toGateway();
    assert.deepEqual(heard, ["drained"]);
  });

  it("makes a writer wait that is out of credit, however little it has written", () => {
    const pair = new SessionPair({ firstBytes: 16_384, callBytes: 16_384, sessionBytes: 65_536, leastBytes: 16_384 });
    offer(pair);
    pair.toRunner();
    const { port } = onlyCall(pair);
    port.accept("c1");

    assert.equal(port.write(new Uint8Array(16_000)), true);
    assert.equal(port.write(new Uint8Array(1_000)), false);
  });

  it("carries an answer written byte by byte in few frames where it waits, and its first byte at once", () => {
    const limits = { firstBytes: 40_000, callBytes: 40_000, sessionBytes: 1_000_000, leastBytes: 1_000 };
    const pair = new SessionPair(limits);
    const { handler, number } = offer(pair);
    pair.toRunner();
    const { port } = onlyCall(pair);
    port.accept("c1");
    port.write(Uint8Array.of(0));
    pair.toGateway();
    assert.equal(handler.bytes, 1);

    for (let i = 1; i < 100_000; i++) port.write(Uint8Array.of(i % 251));
    port.finish(OK);
    for (let consumed = 0; handler.finished === undefined; consumed = handler.bytes) {
      pair.settle();
      assert.ok(handler.bytes > consumed && handler.bytes - consumed <= 40_000, "as much as it has credit for");
      pair.gateway.consumed(number, handler.bytes - consumed);
    }

    const came = pair.crossed.flatMap((frame) => (frame.type === "data" ? [frame.bytes] : []));
    assert.ok(came.length < 20, `${came.length} frames`);
    assert.ok(Buffer.concat(came).equals(Uint8Array.from({ length: 100_000 }, (_, i) => i % 251)));
  });

  it("lets a pending call run only after the gateway's start", () => {
    const pair = new SessionPair();
    const { handler } = offer(pair);
    pair.toRunner();
    const call = onlyCall(pair);
    call.port.pending("start");
    call.port.accept("c1");

    pair.toGateway();
    assert.deepEqual(handler.heard, ["pending start"], "not placed before start is on its way");
    assert.deepEqual(call.heard, []);

    pair.toRunner();
    assert.deepEqual(handler.heard, ["pending start", "placed cold"]);
    assert.deepEqual(call.heard, ["start"]);
  });

  it("gives no body credit before it accepts, and then a whole window", () => {
    const pair = new SessionPair();
    const { number } = offer(pair, { end: false });
    pair.gateway.write(number, new Uint8Array(2_000_000));
    pair.settle();
    assert.deepEqual(onlyCall(pair).bytes, []);

    onlyCall(pair).port.accept("c1");
    pair.settle();

    assert.equal(
      onlyCall(pair).bytes.reduce((sum, n) => sum + n, 0),
      1024 * 1024,
    );
    assert.ok(
      onlyCall(pair).bytes.every((n) => n <= 64 * 1024),
      "in pieces of at most 64 KiB",
    );
  });

  it("sends no more of an answer than the gateway has consumed room for", () => {
    const limits = { firstBytes: 40_000, callBytes: 40_000, sessionBytes: 1_000_000, leastBytes: 1_000 };
    const pair = new SessionPair(limits);
    const { handler, number } = offer(pair);
    pair.toRunner();
    const { port, heard } = onlyCall(pair);
    port.accept("c1");
    port.write(new Uint8Array(100_000));
    port.finish(OK);
    pair.settle();
    assert.equal(handler.bytes, 40_000);
    assert.equal(handler.finished, undefined);

    for (let i = 0; i < 10; i++) {
      pair.gateway.consumed(number, Math.min(20_000, handler.bytes - i * 20_000));
      pair.settle();
      if (handler.finished !== undefined) break;
    }

    assert.equal(handler.bytes, 100_000);
    assert.deepEqual(handler.finished, OK);
    assert.ok(!heard.includes("cancel client_cancel"));
  });

  it("gives a call that uses its window one twice as large, up to the most", () => {
    const limits = { firstBytes: 10_000, callBytes: 40_000, sessionBytes: 1_000_000, leastBytes: 1_000 };
    const pair = new SessionPair(limits);
    const { handler, number } = offer(pair);
    pair.toRunner();
    const { port } = onlyCall(pair);
    port.accept("c1");
    port.write(new Uint8Array(150_000));
    pair.settle();

    const came = [handler.bytes];
    for (const bytes of [10_000, 20_000, 40_000]) {
      pair.gateway.consumed(number, bytes);
      pair.settle();
      came.push(handler.bytes);
    }

    assert.deepEqual(came, [10_000, 30_000, 70_000, 110_000]);
  });

  it("keeps turns between calls, so that a large answer delays no small one", () => {
    const pair = new SessionPair();
    const large = offer(pair);
    const small = offer(pair);
    pair.toRunner();
    const [first, second] = pair.calls;
    first?.port.accept("c1");
    second?.port.accept("c2");
    first?.port.write(new Uint8Array(200_000));
    second?.port.write(new Uint8Array(10));
    second?.port.finish(OK);

    pair.toGateway(40_000);

    assert.deepEqual(small.handler.finished, OK);
    assert.ok(large.handler.bytes < 50_000);
  });

  it("puts no more bodies into one message than it was told, offers' included", () => {
    const pair = new SessionPair();
    for (let i = 0; i < 10; i++) offer(pair, { body: new Uint8Array(60_000) });

    pair.toRunner(100_000);
    assert.equal(pair.calls.length, 2);
    pair.settle();

    assert.equal(pair.calls.length, 10);
  });

  it("counts headers as well, so that no message outgrows its reader", () => {
    const pair = new SessionPair();
    const headers = [["X-Large", "x".repeat(60_000)]] as const;
    for (let i = 0; i < 10; i++) offer(pair, { headers });

    pair.toRunner(100_000);

    assert.equal(pair.calls.length, 2);
  });

  it("fails only the call whose answer cannot be taken", () => {
    const pair = new SessionPair();
    const bad = offer(pair);
    const good = offer(pair);
    bad.handler.head = () => {
      throw new Error("a sink's own fault");
    };
    pair.toRunner();
    for (const { port } of pair.calls) {
      port.accept("c");
      port.head({ status: 200, headers: [] });
      port.write(new Uint8Array(3));
      port.finish(OK);
    }
    pair.settle();

    assert.deepEqual(good.handler.finished, OK);
    assert.equal(bad.handler.heard.at(-1), "finish internal");
    assert.equal(pair.faults.length, 1);
    assert.equal(pair.gateway.size + pair.runner.size, 0);
  });

  it("answers every cancel with finished", () => {
    const pair = new SessionPair();
    const { handler, number } = offer(pair);
    pair.toRunner();
    const { port, heard } = onlyCall(pair);
    port.accept("c1");
    pair.settle();

    pair.gateway.cancel(number, "client_cancel");
    pair.toRunner();
    assert.deepEqual(heard, ["cancel client_cancel"]);
    assert.equal(pair.gateway.size, 1, "its number is kept until the runner agrees");
    port.finish({
      ok: false,
      code: "client_cancel",
      message: "",
      status: undefined,
      stderrTail: "",
      timings: NO_TIMINGS,
    });
    pair.settle();

    assert.equal(pair.gateway.size + pair.runner.size, 0);
    assert.ok(!handler.heard.some((line) => line.startsWith("finish")));
  });

  it("ends a call that is cancelled while its answer waits for credit", () => {
    const pair = new SessionPair({ firstBytes: 1_000, callBytes: 1_000, sessionBytes: 10_000, leastBytes: 1_000 });
    const { number } = offer(pair);
    pair.toRunner();
    const { port } = onlyCall(pair);
    port.accept("c1");
    port.write(new Uint8Array(50_000));
    port.finish(OK);
    pair.settle();

    pair.gateway.cancel(number, "client_cancel");
    pair.settle();

    assert.equal(pair.gateway.size + pair.runner.size, 0);
  });

  it("takes back an offer that was cancelled before it was sent", () => {
    const pair = new SessionPair();
    const { number } = offer(pair);

    pair.gateway.cancel(number, "client_cancel");
    pair.settle();

    assert.equal(pair.calls.length, 0);
    assert.equal(pair.gateway.size, 0);
  });

  it("never starts a call that is cancelled between accepted and start", () => {
    const pair = new SessionPair();
    const { number } = offer(pair);
    pair.toRunner();
    const call = onlyCall(pair);
    call.port.pending("start");
    call.port.accept("c1");
    pair.toGateway();

    pair.gateway.cancel(number, "client_cancel");
    pair.settle();

    assert.deepEqual(call.heard, ["cancel client_cancel"]);
  });
});

describe("a lost connection", () => {
  const outcomes: readonly [string, (pair: SessionPair) => void, string][] = [
    ["an offer that was never sent may go elsewhere", () => {}, "refused runner_unreachable"],
    ["an offer that was sent may be running", (pair) => pair.toRunner(), "finish runner_lost"],
    [
      "a pending call surely did not run",
      (pair) => {
        pair.toRunner();
        onlyCall(pair).port.pending("start");
        pair.toGateway();
      },
      "refused runner_unreachable",
    ],
    [
      "nor did one whose start was not sent",
      (pair) => {
        pair.toRunner();
        onlyCall(pair).port.pending("start");
        onlyCall(pair).port.accept("c1");
        pair.toGateway();
      },
      "refused runner_unreachable",
    ],
    [
      "one whose start was sent may be running",
      (pair) => {
        pair.toRunner();
        onlyCall(pair).port.pending("start");
        onlyCall(pair).port.accept("c1");
        pair.toGateway();
        pair.toRunner();
      },
      "finish runner_lost",
    ],
  ];
  for (const [what, arrange, last] of outcomes) {
    it(`says the truth: ${what}`, () => {
      const pair = new SessionPair();
      const { handler } = offer(pair);
      arrange(pair);

      pair.loseConnection();

      assert.equal(handler.heard.at(-1), last);
      assert.equal(pair.gateway.size, 0);
    });
  }

  it("gives an idempotent call that was only offered another chance", () => {
    const pair = new SessionPair();
    const { handler } = offer(pair, { idempotent: true });
    pair.toRunner();

    pair.loseConnection();

    assert.deepEqual(handler.heard, ["refused runner_unreachable"]);
  });

  it("is heard by every call, though one of them cannot take it", () => {
    const pair = new SessionPair();
    const bad = offer(pair);
    const good = offer(pair);
    bad.handler.finish = () => {
      throw new Error("a sink's own fault");
    };
    pair.toRunner();

    pair.loseConnection();

    assert.equal(good.handler.heard.at(-1), "finish runner_lost");
  });

  it("cancels the call on the runner, whose last words then go nowhere", () => {
    const pair = new SessionPair();
    offer(pair);
    pair.toRunner();
    const { port, heard } = onlyCall(pair);
    port.accept("c1");

    pair.loseConnection();
    port.finish(OK);

    assert.deepEqual(heard, ["cancel runner_lost"]);
    assert.equal(pair.runner.size, 0);
  });
});

describe("a peer that breaks the protocol", () => {
  it("is told when it answers a call that is not open", () => {
    const pair = new SessionPair();

    assert.throws(
      () => pair.gateway.receive([{ type: "pending", call: 7, phase: "start" }]),
      /call 7, which is not open/,
    );
  });

  it("is told when it sends more than it had credit for", () => {
    const pair = new SessionPair({ firstBytes: 10, callBytes: 10, sessionBytes: 100, leastBytes: 10 });
    const { number } = offer(pair);
    pair.toRunner();
    onlyCall(pair).port.accept("c1");
    pair.toGateway();
    const data = { type: "data", call: number, bytes: new Uint8Array(11), end: false } as const;

    assert.throws(() => pair.gateway.receive([data]), /more of call 1 than it had credit for/);
  });

  it("is told when it begins an answer, or goes on with one, before it accepts the call", () => {
    const early = (call: number): readonly RunnerFrame[] => [
      { type: "head", call, head: { status: 200, headers: [["X-A", "of a refused try"]] } },
      { type: "data", call, bytes: new Uint8Array(1), end: false },
    ];
    for (const which of [0, 1]) {
      const pair = new SessionPair();
      const { number } = offer(pair);
      pair.toRunner();
      const frame = early(number)[which];
      assert.ok(frame !== undefined);

      assert.throws(() => pair.gateway.receive([frame]), /for a call that is offered/);
    }
  });

  it("is told when it uses a call number again", () => {
    const pair = new SessionPair();
    offer(pair);
    const [hello, first] = pair.gateway.take(Infinity);
    assert.ok(hello !== undefined && first !== undefined);

    assert.throws(() => pair.runner.receive([hello, first, first]), /number 1 again/);
  });

  it("is told when it starts a call that waits for nothing", () => {
    const pair = new SessionPair();
    const { number } = offer(pair);
    pair.toRunner();

    assert.throws(() => pair.runner.receive([{ type: "start", call: number }]), /"start" for a call that is offered/);
  });

  it("is told when it does not greet first", () => {
    const pair = new SessionPair();

    assert.throws(() => pair.runner.receive([{ type: "cancel", call: 1, code: "client_cancel" }]), /before "hello"/);
  });

  it("is told when it sends a body before it was given credit", () => {
    const pair = new SessionPair();
    const { number } = offer(pair, { end: false });
    pair.toRunner();
    const data = { type: "data", call: number, bytes: new Uint8Array(1), end: false } as const;

    assert.throws(() => pair.runner.receive([data]), /more of call 1 than it had credit for/);
  });

  it("is told when it offers more than the first bytes of a body", () => {
    const pair = new SessionPair();
    offer(pair, { body: new Uint8Array(65_537) });

    assert.throws(() => pair.toRunner(), /65537 bytes of body at once/);
  });

  it("gets one capacity frame, the newest, however long it does not read", () => {
    const pair = new SessionPair();
    for (let free = 0; free < 1_000; free++) {
      pair.runner.capacity({ ...NO_CAPACITY, freeMemoryMiB: free });
    }

    const frames = pair.runner.take(Infinity);

    assert.equal(frames.length, 1);
    assert.ok(frames[0]?.type === "capacity" && frames[0].capacity.freeMemoryMiB === 999);
  });

  it("leaves refused calls to other runners, by scope", () => {
    const pair = new SessionPair();
    const { handler } = offer(pair);
    pair.toRunner();

    onlyCall(pair).port.refuse(new CallError("server_busy"), "this_runner");
    pair.settle();

    assert.deepEqual(handler.heard, ["refused server_busy"]);
  });
});
