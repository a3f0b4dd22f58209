import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";

import { pause, systemClock } from "../../core/clock.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { inlineRunner } from "../../kiln/testing/inline-runner.ts";
import { probeFunctions } from "../../kiln/testing/probe-calls.ts";
import { startSystem, type System } from "../../kiln/testing/system.ts";

const WITHIN_MS = 1_000;
const END = "and no end";
const HEAD = "POST /invoke/stays HTTP/1.1\r\nHost: kiln\r\nTransfer-Encoding: chunked\r\n\r\n";
const BODY = "10\r\n0123456789abcdef\r\n4\r\nbody\r\n0\r\n\r\n";
/** Where a function can begin: with the first byte of the body's first chunk. */
const FIRST_DATA = HEAD.length + "10\r\n0".length;

/** A function that is called once at a time, and tells when a call of it begins and when its caller is gone. */
class Witness {
  answers = true;
  #begun = Promise.withResolvers<void>();
  #left = Promise.withResolvers<void>();
  runs = 0;

  readonly serve: RequestListener = (request, response) => {
    const left = this.#left;
    this.runs += 1;
    this.#begun.resolve();
    response.on("error", () => {});
    response.on("close", () => left.resolve());
    request.resume();
    // It never ends by itself.
    if (this.answers) response.writeHead(200, { "content-type": "text/plain" }).write(END);
  };

  next(): { readonly begun: Promise<void>; readonly left: Promise<void> } {
    this.#begun = Promise.withResolvers<void>();
    this.#left = Promise.withResolvers<void>();
    return { begun: this.#begun.promise, left: this.#left.promise };
  }
}

async function inTime(event: Promise<void>, what: string): Promise<void> {
  const waited = new AbortController();
  const late = pause(systemClock, WITHIN_MS, waited.signal).then(() => {
    if (!waited.signal.aborted) assert.fail(`not within a second: ${what}`);
  });
  await Promise.race([event, late]).finally(() => waited.abort());
}

describe("a client that leaves", { timeout: 120_000 }, () => {
  const witness = new Witness();
  let system: System;
  before(async () => {
    system = await startSystem({
      functions: probeFunctions({ stays: { timeout: 60 } }),
      makeRunner: (runnerId) => inlineRunner(runnerId, witness.serve),
    });
  });
  after(() => system[Symbol.asyncDispose]());

  async function dial(): Promise<Socket> {
    const socket = connect(Number(new URL(system.url).port), "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  }

  async function nothingRuns(): Promise<void> {
    const until = performance.now() + WITHIN_MS;
    while (system.runners.some((runner) => runner.status().active > 0)) {
      assert.ok(performance.now() < until, "the runner still has the call after a second");
      await pause(systemClock, 1);
    }
  }

  /** Leaves a call whose function has begun, once `reach` says so. */
  async function leaveAfter(reach: (socket: Socket, begun: Promise<void>) => Promise<void>): Promise<void> {
    const { begun, left } = witness.next();
    const socket = await dial();
    await reach(socket, begun);

    socket.destroy();

    await inTime(left, "the function's caller is gone");
    await nothingRuns();
  }

  it("after any byte of a request's head, or before its body's first: nothing ran", async () => {
    const { received = 0 } = system.runners[0]?.status() ?? {};
    for (let bytes = 0; bytes < FIRST_DATA; bytes++) {
      const socket = await dial();
      socket.end(HEAD.concat(BODY).slice(0, bytes));
      await once(socket.resume(), "close");
    }

    assert.equal(system.runners[0]?.status().received, received);
    assert.equal(witness.runs, 0);
  });

  it("after any byte of a request's body ends its call within a second", async () => {
    witness.answers = false;
    for (let bytes = FIRST_DATA; bytes <= HEAD.length + BODY.length; bytes++) {
      await leaveAfter(async (socket, begun) => {
        socket.write(HEAD.concat(BODY).slice(0, bytes));
        await begun;
      });
    }
  });

  it("after any byte of the answer ends its call within a second", async () => {
    witness.answers = true;
    const text = HEAD.concat(BODY);
    let whole = 0;
    await leaveAfter(async (socket) => {
      socket.write(text);
      let got = "";
      socket.on("data", (bytes: Buffer) => (got += bytes.toString("latin1")));
      await eventually(() => assert.ok(got.includes(END)));
      whole = got.length;
    });

    for (let bytes = 1; bytes <= whole; bytes++) {
      await leaveAfter(async (socket) => {
        socket.write(text);
        await readBytes(socket, bytes);
      });
    }
  });

  it("leaves nothing open in gateway and runner", async () => {
    const before = await openFiles();
    for (let i = 0; i < 50; i++) {
      await leaveAfter(async (socket) => {
        socket.write(HEAD.concat(BODY));
        await readBytes(socket, 1 + i);
      });
    }

    await eventually(async () => assert.ok((await openFiles()) <= before, "as many open files as before"));
    const { received, handled } = system.runners[0]?.status() ?? {};
    assert.equal(received, handled);
  });
});

async function readBytes(socket: Socket, bytes: number): Promise<void> {
  while (socket.read(bytes) === null) await once(socket, "readable");
}

async function openFiles(): Promise<number> {
  return (await readdir("/proc/self/fd")).length;
}
