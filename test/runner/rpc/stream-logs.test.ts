import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";

import { systemClock } from "../../../core/clock.ts";
import { LogSource, RunnerService, type LogLine } from "../../../gen/kiln/runner/v1/runner_pb.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { offerTo } from "../../../kiln/testing/offer.ts";
import { processRunner, served, type ServedRunner } from "../../../kiln/testing/process-runner.ts";
import { FunctionLogs } from "../../../runner/logs/function-logs.ts";

// Says a line when it starts, two in each call and one long after it; and as many more in each call as LINES says.
const TALKER = `
const { createServer } = require("node:http");
console.log("starting");
createServer((request, response) => {
  console.log("in", request.headers["fn-call-id"]);
  console.error("also in", request.headers["fn-call-id"]);
  process.stdout.write((".".repeat(79) + "\\n").repeat(process.env.LINES || 0));
  response.end("{}");
  if (!process.env.LINES) setTimeout(() => console.error("long after"), 300);
}).listen(process.env.FN_LISTENER.slice("unix:".length));
`;

const authority = await createAuthority();
const LINES = 100_000;

describe("StreamLogs", { timeout: 60_000 }, () => {
  let functionsDirectory = "";
  let one: ServedRunner;
  let client: Client<typeof RunnerService>;
  before(async () => {
    functionsDirectory = await mkdtemp(join(tmpdir(), "kiln-logs-"));
    await mkdir(join(functionsDirectory, "talker"));
    await writeFile(join(functionsDirectory, "talker", "func.yaml"), "entrypoint: node func.cjs\n");
    await writeFile(join(functionsDirectory, "talker", "func.cjs"), TALKER);
    const limits = { maxCallBytes: 100 * LINES, maxReaders: 2, maxReaderBytes: 100_000 };
    const logs = new FunctionLogs({ clock: systemClock, limits });
    const runner = await processRunner({ functionsDirectory, logs, limits: { freezeIdleMs: -1 } });
    one = await served(runner, await issue(authority, { name: "kiln-runner", role: "runner" }));
    client = clientOf(one.address, await issue(authority, { name: "kiln-gateway", role: "gateway" }));
  });
  after(async () => {
    await one[Symbol.asyncDispose]();
    await rm(functionsDirectory, { recursive: true });
  });

  function clientOf(address: string, pki: { cert: string; key: string; ca: string }): Client<typeof RunnerService> {
    const baseUrl = `https://${address}`;
    return createClient(RunnerService, createConnectTransport({ httpVersion: "2", baseUrl, nodeOptions: { ...pki } }));
  }

  /** Follows the logs, from when this resolves until `leave`. */
  async function follow(filter: { fnId?: string; callId?: string }) {
    const leaving = new AbortController();
    const stream = client.streamLogs(filter, { signal: leaving.signal })[Symbol.asyncIterator]();
    await stream.next();
    const lines: LogLine[] = [];
    const read = (async () => {
      for (let next = await stream.next(); next.done !== true; next = await stream.next())
        lines.push(...next.value.lines);
    })().catch(() => {});
    const leave = async () => {
      leaving.abort();
      await read;
    };
    return { lines, texts: () => lines.map(({ text }) => text), [Symbol.asyncDispose]: leave };
  }

  it("gives lines as they are written, by call, with what was written between calls marked as such", async () => {
    const call = callFor("talker");
    await using all = await follow({ fnId: "talker" });
    await using ofCall = await follow({ callId: call.id });

    const { containerId } = await offerTo(one.runner, call).outcome;
    await eventually(() => assert.equal(all.lines.length, 4, all.texts().join("\n")));

    const shown = all.lines.map(({ text, callId, between }) => ({ text, callId, between }));
    assert.deepEqual(shown[0], { text: "starting", callId: "", between: true });
    const inCall = [`in ${call.id}`, `also in ${call.id}`].map((text) => ({ text, callId: call.id, between: false }));
    // Two pipes: their order is the order in which they are read.
    assert.deepEqual(new Set(shown.slice(1, 3)), new Set(inCall));
    assert.deepEqual(shown[3], { text: "long after", callId: "", between: true });
    assert.deepEqual(new Set(ofCall.texts()), new Set(inCall.map(({ text }) => text)));
    const sources = Object.fromEntries(all.lines.map(({ text, source }) => [text.split(" ")[0], source]));
    assert.equal(sources["in"], LogSource.STDOUT);
    assert.equal(sources["also"], LogSource.STDERR);
    for (const line of all.lines) {
      assert.deepEqual([line.appId, line.fnId, line.containerId], ["app", "talker", containerId]);
      assert.ok(Math.abs(Number(line.atMs) - Date.now()) < 60_000);
    }
  });

  it("is not stalled by a reader that does not read, which hears how much it lost", async (t) => {
    const leaving = new AbortController();
    t.after(() => leaving.abort());
    const slow = client.streamLogs({ fnId: "chatty" }, { signal: leaving.signal })[Symbol.asyncIterator]();
    await slow.next();

    const outcome = await offerTo(one.runner, chatty).outcome;

    assert.equal(outcome.finish?.ok, true, outcome.finish?.ok === false ? outcome.finish.message : "");
    let lines = 0;
    let dropped = 0;
    // Those, and "starting" and the two of every call.
    while (lines + dropped < LINES + 3) {
      const next = await slow.next();
      assert.ok(next.done !== true);
      lines += next.value.lines.length;
      dropped += Number(next.value.dropped);
    }
    assert.equal(lines + dropped, LINES + 3);
    assert.ok(dropped > 0);
    assert.ok(lines > 0);
  });

  it("admits so many readers and no more, and has room again when one leaves", async () => {
    await using first = await follow({});
    // Those of other tests may not have been heard to leave yet.
    const another = () => eventuallyFollows({});
    {
      await using _second = await another();
      await assert.rejects(
        follow({}),
        (error) => error instanceof ConnectError && error.code === Code.ResourceExhausted,
      );
    }
    await (await another())[Symbol.asyncDispose]();
    assert.deepEqual(first.lines, []);
  });

  it("is for listed identities alone", async () => {
    const stranger = clientOf(one.address, await issue(authority, { name: "somebody", role: "gateway" }));

    await assert.rejects(async () => {
      for await (const _ of stranger.streamLogs({}));
    }, ConnectError);
  });

  async function eventuallyFollows(filter: { fnId?: string }): Promise<AsyncDisposable> {
    let followed: AsyncDisposable | undefined;
    await eventually(async () => void (followed = await follow(filter)));
    assert.ok(followed !== undefined);
    return followed;
  }

  const chatty = callFor("talker", { fnId: "chatty", config: { LINES: String(LINES) } });
});
