import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  assertFailure,
  callProbe,
  probeFunctions,
  probeInstance,
  type ExpectedFailure,
  type Orders,
  type ProbeFields,
} from "../../../kiln/testing/probe-calls.ts";
import { startSystem, type System } from "../../../kiln/testing/system.ts";

const byFunction = (code: ExpectedFailure["code"], message: RegExp): ExpectedFailure => ({
  status: 502,
  code,
  component: "function",
  message,
});

const environment = (config: Readonly<Record<string, string>>): ProbeFields => ({ config });

const IS_ROOT = process.getuid?.() === 0;
/** Below what `fetch` takes. */
const MAX_HEADER_BYTES = 14_000;

const PROBES = {
  plain: {},
  "slow-start": environment({ ENABLE_INIT_DELAY_MSEC: "700" }),
  direct: environment({ PROBE_LISTEN: "direct" }),
  "no-permission": environment({ PROBE_LISTEN: "no-permission" }),
  greeting: environment({ PROBE_GREETING: "220 probe ready\r\n" }),
  "closes-soon": environment({ PROBE_KEEP_ALIVE_MS: "300" }),
  leaving: {},
  closing: {},
  switching: {},
  "switching-sockets": {},
  deaf: environment({ PROBE_IGNORE_SIGTERM: "1" }),
} as const;

describe("the contract of the function", { concurrency: 3, timeout: 60_000 }, () => {
  let system: System;
  before(async () => {
    system = await startSystem({
      functions: probeFunctions(PROBES),
      runnerLimits: { maxHeaderBytes: MAX_HEADER_BYTES },
    });
  });
  after(() => system[Symbol.asyncDispose]());

  const call = (fnId: keyof typeof PROBES, orders: Orders = {}, body?: string) =>
    callProbe(system, fnId, orders, body === undefined ? {} : { body });

  it("a slow start is waited for", async () => {
    assert.equal((await call("slow-start")).status, 200);
  });

  it("a socket needs no link", async () => {
    const response = await call("direct");

    assert.equal(response.status, 200, await response.text());
  });

  it(`a socket without rights ${IS_ROOT ? "is no obstacle to root" : "is a function that cannot be reached"}`, async () => {
    const response = await call("no-permission");

    if (IS_ROOT) assert.equal(response.status, 200, await response.text());
    else await assertFailure(response, byFunction("function_response", /EACCES/));
  });

  it("headers of nearly the limit pass", async () => {
    const response = await call("plain", { hugeHeaderBytes: MAX_HEADER_BYTES - 2_000, isEmptyBody: true });

    assert.equal(response.status, 200);
    assert.equal(response.headers.get("probe-huge")?.length, MAX_HEADER_BYTES - 2_000);
  });

  for (const declareLength of [true, false]) {
    it(`an answer ${declareLength ? "with" : "without"} a length arrives whole, and so does a request`, async () => {
      const sent = "0123456789".repeat(30_000);

      const length = declareLength ? sent.length : false;
      const response = await call("plain", { echo: true, declareLength: length }, sent);

      assert.ok((await response.text()) === sent);
      const large = await call("plain", { outputBytes: 1_000_000, declareLength });
      assert.equal((await large.arrayBuffer()).byteLength, 1_000_000);
      assert.equal(large.headers.get("content-length"), declareLength ? "1000000" : null);
    });
  }

  it("trailers are dropped", async () => {
    const response = await call("plain", { outputBytes: 10, trailers: { "X-Sum": "1" } });

    assert.equal((await response.arrayBuffer()).byteLength, 10);
    assert.equal(response.headers.get("x-sum"), null);
  });

  it("an informational answer is not the answer", async () => {
    const response = await call("plain", { rawBefore: "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n" });

    assert.equal(response.status, 200, await response.text());
    assert.equal(response.headers.get("link"), null);
  });

  it("a function that speaks before it is asked breaks its calls", async () => {
    await assertFailure(await call("greeting"), byFunction("function_response", /error receiving function response/));
  });

  it("a function that switches protocols breaks its call", async () => {
    const raw = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: cheese\r\n\r\n";

    const response = await call("switching", { breakAt: "beforeHead", breakHow: "raw", raw, rawThen: "hang" });

    await assertFailure(response, byFunction("function_response", /error receiving function response/));
  });

  it("a connection that the function closes after every call costs nothing", async () => {
    const instance = await probeInstance(system, "closing");
    for (let i = 0; i < 5; i++) assert.equal((await call("closing", { closeConnection: true })).status, 200);

    assert.equal(await probeInstance(system, "closing"), instance);
  });

  it("a connection that the function closes while it is idle is not used for a call", async () => {
    const instance = await probeInstance(system, "closes-soon");
    for (const gapMs of [200, 290, 300, 310, 400, 1_100]) {
      await sleep(gapMs);
      assert.equal(await probeInstance(system, "closes-soon"), instance, `after ${gapMs} ms`);
    }
  });

  it("a function that exits after its answer has answered, and the next call gets another", async () => {
    const first = await call("leaving", { breakAt: "afterAnswer", breakHow: "exit" });
    const instance = first.headers.get("probe-instance");

    assert.equal(first.status, 200, await first.text());
    await sleep(100);
    assert.notEqual(await probeInstance(system, "leaving"), instance);
  });

  it("a function that leads its runner to another socket after its start is not followed there", async (t) => {
    const elsewhere = join(await mkdtemp(join(tmpdir(), "kiln-elsewhere-")), "x.sock");
    const other = createServer((_request, response) => void response.end("cheese of another"));
    await once(other.listen(elsewhere), "listening");
    t.after(() => other.close());
    t.after(() => rm(dirname(elsewhere), { recursive: true }));

    await call("switching-sockets", { relink: elsewhere, closeConnection: true });
    const response = await call("switching-sockets");

    await assertFailure(response, byFunction("function_response", /its socket became a link to ".*x\.sock"/));
    assert.equal((await call("switching-sockets")).status, 200, "the next call has a new container");
  });

  it("a function that ignores SIGTERM goes with its runner all the same", async () => {
    await using other = await startSystem({ functions: probeFunctions({ deaf: PROBES.deaf }) });
    const { probe } = (await (await callProbe(other, "deaf")).json()) as { readonly probe: { readonly pid: number } };

    await other[Symbol.asyncDispose]();

    assert.throws(() => process.kill(probe.pid, 0), { code: "ESRCH" });
  });
});

/** Functions on Fn's own library for Node, as their owners would write them. */
const HANDLERS = {
  cheese: `(input) => ({ input })`,
  // Fn's library ends the process of a handler that returns null.
  "returns-null": `(input) => input.crash ? null : { pid: process.pid }`,
  throws: `(input) => { if (input.throws) throw new Error("no cheese"); return { pid: process.pid }; }`,
} as const;

describe("the contract with Fn's own library for Node", { concurrency: 3, timeout: 60_000 }, () => {
  let directory: string;
  let system: System;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "kiln-fdk-"));
    const fdk = createRequire(import.meta.url).resolve("@fnproject/fdk");
    for (const [name, handler] of Object.entries(HANDLERS)) {
      await mkdir(join(directory, name));
      await writeFile(join(directory, name, "func.yaml"), "entrypoint: node func.js\n");
      await writeFile(join(directory, name, "func.js"), `require(${JSON.stringify(fdk)}).handle(${handler});\n`);
    }
    const functions = Object.keys(HANDLERS).map((name) => [name, { image: name }] as const);
    system = await startSystem({
      functionsDirectory: directory,
      functions: probeFunctions(Object.fromEntries(functions)),
    });
  });
  after(async () => {
    await system[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  const pidOf = async (fnId: keyof typeof HANDLERS) => ((await system.invoke(fnId)).json() as { pid: number }).pid;

  it("a connection that it closes after 5 s is not used for a call", async () => {
    for (const gapMs of [0, 5_010]) {
      await sleep(gapMs);
      const answer = await system.invoke("cheese", { name: "Emmental" });
      assert.deepEqual([answer.status, answer.json()], [200, { input: { name: "Emmental" } }]);
    }
  });

  it("a handler that returns null crashes it: 502 function_response, and the next call gets a new one", async () => {
    const pid = await pidOf("returns-null");

    const response = await fetch(`${system.url}/invoke/returns-null`, { method: "POST", body: '{"crash":true}' });

    const { stderr } = await assertFailure(
      response,
      byFunction("function_response", /the container exited with code 1$/),
    );
    assert.match(stderr ?? "", /TypeError/);
    assert.notEqual(await pidOf("returns-null"), pid);
  });

  it("a handler that throws: 502 function_failed, and the container continues", async () => {
    const pid = await pidOf("throws");

    const response = await fetch(`${system.url}/invoke/throws`, { method: "POST", body: '{"throws":true}' });

    await assertFailure(response, byFunction("function_failed", /^function failed$/));
    assert.equal(await pidOf("throws"), pid);
  });

  it("headers over its own limit: 502 function_invalid_response, naming its status", async () => {
    const headers = { "x-huge": "x".repeat(20_000) };

    const response = await fetch(`${system.url}/invoke/cheese`, { method: "POST", body: "{}", headers });

    await assertFailure(response, byFunction("function_invalid_response", /status 431/));
  });
});
