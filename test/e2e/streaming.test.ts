import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { after, before, describe, it } from "node:test";

import { createAuthority } from "../../kiln/pki.ts";
import { gatewayProcess, runnerProcess, type MainProcess } from "../../kiln/testing/main-process.ts";
import { callProbe, probeFunctions, type Orders } from "../../kiln/testing/probe-calls.ts";

/** Many times all windows and socket buffers on the way together. */
const LONG_BYTES = 50_000_000;
const NEIGHBOUR_CALLS = 60;
/** A neighbour that waited for a stalled call would wait for as long as that is stalled, which is until we let it go. */
const NEIGHBOUR_WITHIN_MS = 1_000;

const functions = probeFunctions({ events: {}, slow: { timeout: 60 }, deaf: { timeout: 60 }, neighbour: {} });

/** One gateway process and one runner process: all calls share one session between them. */
describe("streaming through gateway and runner", { timeout: 120_000 }, () => {
  let made: AsyncDisposableStack;
  let gateway: MainProcess;
  let url: string;
  before(async () => {
    await using making = new AsyncDisposableStack();
    const authority = await createAuthority();
    const runner = making.use(await runnerProcess(authority, "runner-1"));
    gateway = making.use(await gatewayProcess(authority, [`runner-1=${runner.address}`], functions));
    url = `http://${gateway.address}`;
    made = making.move();
  });
  after(() => made.disposeAsync());

  /** A call whose request and answer are ours to move, byte by byte. */
  function open(fnId: string, orders: Orders, headers: Readonly<Record<string, string>> = {}): ClientRequest {
    const sent = request(`${url}/invoke/${fnId}`, {
      method: "POST",
      agent: false,
      headers: { "probe-control": JSON.stringify(orders), ...headers },
    });
    sent.flushHeaders();
    return sent.on("error", () => {});
  }

  it("brings a server-sent event to the client before its function can write the next", async () => {
    // The function's next event is what the client sends once it has read this one.
    const sent = open("events", { echo: true }, { "content-type": "text/event-stream" });
    const event = (n: number) => `id: ${n}\ndata: {"n":${n}}\n\n`;
    sent.write(event(0));
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    answer.setEncoding("utf8");

    assert.equal(answer.headers["content-type"], "text/event-stream");
    for (let n = 0; n < 50; n++) {
      const [chunk] = (await once(answer, "data")) as [string];
      assert.equal(chunk, event(n));
      answer.pause();
      if (n < 49) sent.write(event(n + 1));
      else sent.end();
      answer.resume();
    }
    await once(answer, "end");
  });

  it("lets neither a client that does not read nor a function that never does hold up its neighbours", async () => {
    await neighbours();
    const slow = open("slow", { outputBytes: LONG_BYTES });
    slow.end();
    const [unread] = (await once(slow, "response")) as [IncomingMessage];
    const deaf = open("deaf", { readBody: "never", sleepTime: 60_000 });
    const stuck = fillUntilStuck(deaf);
    await stuck.reached;

    const slowest = await neighbours();

    assert.ok(slowest < NEIGHBOUR_WITHIN_MS, `the slowest of ${NEIGHBOUR_CALLS} took ${Math.round(slowest)} ms`);
    assert.ok(stuck.written() < LONG_BYTES, "the function that never reads stopped its client");
    assert.equal(unread.complete, false);
    const hash = createHash("sha256");
    for await (const bytes of unread) hash.update(bytes as Buffer);
    assert.equal(hash.digest("hex"), patternHash(LONG_BYTES), "the slow client gets all of it in the end");
    deaf.destroy();
  });

  /** A run of calls beside whatever else is going on; the time of the slowest, milliseconds. */
  async function neighbours(): Promise<number> {
    let slowest = 0;
    for (let i = 0; i < NEIGHBOUR_CALLS; i++) {
      const began = performance.now();
      const answer = await callProbe({ url }, "neighbour", { echo: true }, { body: `call ${i}` });
      assert.equal(await answer.text(), `call ${i}`);
      slowest = Math.max(slowest, performance.now() - began);
    }
    return slowest;
  }
});

/** Writes until nothing more is taken for a while, and at most LONG_BYTES. */
function fillUntilStuck(sent: ClientRequest): { readonly reached: Promise<void>; written(): number } {
  const piece = Buffer.alloc(64 * 1024);
  const reached = Promise.withResolvers<void>();
  let written = 0;
  let quiet: NodeJS.Timeout | undefined;
  const fill = () => {
    clearTimeout(quiet);
    quiet = setTimeout(reached.resolve, 300);
    while (written < LONG_BYTES) {
      written += piece.length;
      if (!sent.write(piece)) return void sent.once("drain", fill);
    }
    reached.resolve();
  };
  fill();
  return { reached: reached.promise, written: () => written };
}

/** Of the probe's pattern: the byte at place i is i modulo 251. */
function patternHash(bytes: number): string {
  const hash = createHash("sha256");
  const source = Uint8Array.from({ length: 65_536 + 251 }, (_, i) => i % 251);
  for (let at = 0; at < bytes; at += 65_536) {
    hash.update(source.subarray(at % 251, (at % 251) + Math.min(65_536, bytes - at)));
  }
  return hash.digest("hex");
}
