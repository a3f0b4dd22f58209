import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { createServer as createTlsServer } from "node:tls";

import { systemClock } from "../../../core/clock.ts";
import { createLog, silentLog } from "../../../core/log.ts";
import { mtlsRunnerFactory, type MtlsRunnerOptions } from "../../../gateway/runnerpool/mtls-runner.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../kiln/testing/collected-call.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { processRunner, served, type ServedRunner } from "../../../kiln/testing/process-runner.ts";
import { tcpProxy } from "../../../kiln/testing/tcp-proxy.ts";

const authority = await createAuthority();
const other = await createAuthority();
const runnerPki = await issue(authority, { name: "kiln-runner", role: "runner" });
const gatewayPki = await issue(authority, { name: "kiln-gateway", role: "gateway" });
const never = new AbortController().signal;
/** More than any exchange here has. */
const MOST_RECORDS = 100;

// Deno ends a test whose event loop is empty.
const alive = setInterval(() => {}, 1_000);
after(() => clearInterval(alive));

function connect(address: string, options: Partial<MtlsRunnerOptions> = {}) {
  const factory = mtlsRunnerFactory({
    gatewayId: "test",
    version: "0",
    allowNoIsolation: true,
    dialTimeoutMs: 2_000,
    drainMs: 1_000,
    clock: systemClock,
    log: silentLog,
    ...options,
  });
  return factory(address, "kiln-runner", gatewayPki);
}

type Connected = ReturnType<typeof connect>;

function probe(control: object, config: Readonly<Record<string, string>> = {}) {
  return callFor("probe", { config, headers: [["Probe-Control", JSON.stringify(control)]] });
}

/** Offers one call; tells how it ended: the last word, or the reason of the refusal. */
async function tryOnce(runner: Connected, call = probe({ echo: true }), body = "ping"): Promise<string | undefined> {
  const { runnerCall, answer } = collectedCall(call, body);
  const offer = await runner.tryCall(runnerCall, never);
  return offer.placed ? (await answer).heard.at(-1) : `refused ${offer.reason.code}`;
}

describe("a connection that breaks", () => {
  let one: ServedRunner;
  let ran = 0;
  before(async () => {
    const counted = await processRunner({
      hooks: [
        {
          call: (next) => (call, signal) => {
            ran += 1;
            return next(call, signal);
          },
        },
      ],
    });
    one = await served(counted, runnerPki);
  });
  after(() => one[Symbol.asyncDispose]());

  /** What both sides must agree on, wherever the connection was cut. */
  async function checkEnding(ending: string | undefined, where: string) {
    assert.match(ending ?? "", /^(refused runner_unreachable|finish runner_lost|finish ok)$/, where);
    await eventually(() => assert.equal(one.runner.status().active, 0, `${where}: the runner ends the call`));
    if (ending?.startsWith("refused")) assert.equal(ran, 0, `${where}: what may be offered again has not run`);
    assert.ok(ran <= 1, `${where}: ran ${ran} times`);
    ran = 0;
  }

  it("has one truth after every record from the handshake to the end of a warm call", async () => {
    await using warm = connect(one.address);
    assert.equal(await tryOnce(warm), "finish ok");
    ran = 0;
    const endings = new Set<string | undefined>();
    for (let records = 1; ; records += 1) {
      await using proxy = await tcpProxy(one.address);
      proxy.cutAfter(records);
      await using runner = connect(proxy.address);
      const ending = await tryOnce(runner);
      await checkEnding(ending, `cut after ${records} records`);
      endings.add(ending);
      if (!proxy.cut) break;
      assert.ok(records < MOST_RECORDS);
      if (records % 8 === 0) {
        await eventually(async () => assert.equal(await tryOnce(runner), "finish ok", "it connects again"));
        ran = 0;
      }
    }
    assert.deepEqual(endings, new Set(["finish ok", "finish runner_lost", "refused runner_unreachable"]));
  });

  it("has one truth after every record of a call that starts its container", async () => {
    const endings = new Set<string | undefined>();
    for (let records = 1; ; records += 1) {
      await using proxy = await tcpProxy(one.address);
      await using runner = connect(proxy.address);
      await runner.status(never);
      proxy.cutAfter(records);
      const ending = await tryOnce(runner, probe({ echo: true }, { COLD: String(records) }));
      await checkEnding(ending, `cut after ${records} records`);
      endings.add(ending);
      if (!proxy.cut) break;
      assert.ok(records < MOST_RECORDS);
    }
    assert.ok(endings.has("refused runner_unreachable"), "lost while its container started, it may go elsewhere");
    assert.ok(endings.has("finish runner_lost"));
  });
});

describe("a peer that stops", () => {
  const ping = { everyMs: 50, timeoutMs: 150 };

  it("is gone for the gateway once it answers no ping", async () => {
    await using one = await served(await processRunner(), runnerPki);
    await using proxy = await tcpProxy(one.address);
    await using runner = connect(proxy.address, { ping });
    const { runnerCall, answer } = collectedCall(probe({ sleepTime: 20_000 }));
    assert.ok((await runner.tryCall(runnerCall, never)).placed);
    const heldAt = Date.now();

    proxy.hold();

    const { finish } = await answer;
    assert.ok(!finish.ok && finish.code === "runner_lost");
    assert.match(finish.message, /no answer to a ping in 150 ms/);
    assert.ok(Date.now() - heldAt < 2_000);
    assert.match((await tryOnce(runner)) ?? "", /refused runner_unreachable/);
  });

  it("is gone for the runner too, which ends its calls", async () => {
    const lines: string[] = [];
    const log = createLog({ write: (line) => void lines.push(line) });
    await using one = await served(await processRunner(), runnerPki, { ping, log });
    await using proxy = await tcpProxy(one.address);
    await using runner = connect(proxy.address);
    const { runnerCall } = collectedCall(probe({ sleepTime: 20_000 }));
    assert.ok((await runner.tryCall(runnerCall, never)).placed);

    proxy.hold();

    await eventually(() => assert.equal(one.runner.status().active, 0));
    assert.match(lines.join(""), /Gateway is gone.*no answer to a ping in 150 ms/);
  });

  it("is met again under the same name, whatever its boot id", async () => {
    const lines: string[] = [];
    const log = createLog({ format: "json", write: (line) => void lines.push(line) });
    const bootIds = () =>
      lines
        .map((line) => JSON.parse(line) as { message: string; runnerId?: string; bootId?: string })
        .filter(({ message, runnerId }) => message === "Runner connected" && runnerId === "r1")
        .map(({ bootId }) => bootId);
    const first = await served(await processRunner({ runnerId: "r1" }), runnerPki);
    await using runner = connect(first.address, { log });
    const { runnerCall, answer } = collectedCall(probe({ sleepTime: 20_000 }));
    assert.ok((await runner.tryCall(runnerCall, never)).placed);

    await first.server[Symbol.asyncDispose]();
    await first.runner[Symbol.asyncDispose]();
    await using _second = await served(await processRunner({ runnerId: "r1" }), runnerPki, { port: first.server.port });

    assert.equal((await answer).heard.at(-1), "finish runner_lost", "what the first one ran is not the second one's");
    await eventually(() => assert.equal(new Set(bootIds()).size, 2));
    assert.equal(await tryOnce(runner), "finish ok");
    assert.notEqual((await runner.status(never)).bootId, bootIds()[0]);
  });
});

describe("a GOAWAY", () => {
  /** A runner that can be made to send one: it stops believing the authority of the gateways that are connected. */
  async function retiring(drainMs: number) {
    let current = { ...runnerPki, ca: authority.cert + other.cert };
    const listeners = new Set<() => void>();
    const source = {
      get current() {
        return current;
      },
      onChange(changed: () => void) {
        listeners.add(changed);
        return () => listeners.delete(changed);
      },
    };
    const one = await served(await processRunner(), source, { drainMs });
    const set = (ca: string) => {
      current = { ...runnerPki, ca };
      for (const listener of listeners) listener();
    };
    const goaway = () => {
      set(other.cert);
      // Whoever comes now is let in again.
      set(authority.cert);
    };
    return { ...one, goaway };
  }

  it("on an idle session makes the gateway connect anew, and close the old connection", async () => {
    await using one = await retiring(20_000);
    await using proxy = await tcpProxy(one.address);
    await using runner = connect(proxy.address);
    assert.equal(await tryOnce(runner), "finish ok");

    one.goaway();

    await eventually(() => assert.equal(proxy.connections, 2));
    await eventually(() => assert.equal(proxy.open, 1));
    await eventually(async () => assert.equal(await tryOnce(runner), "finish ok"));
  });

  it("on a busy session lets its calls end, while new ones take a new connection", async () => {
    await using one = await retiring(20_000);
    await using proxy = await tcpProxy(one.address);
    await using runner = connect(proxy.address);
    const { runnerCall, answer } = collectedCall(probe({ sleepTime: 800 }));
    assert.ok((await runner.tryCall(runnerCall, never)).placed);

    one.goaway();
    await eventually(() => assert.equal(proxy.connections, 2));

    await eventually(async () => assert.equal(await tryOnce(runner), "finish ok"));
    assert.equal(proxy.open, 2, "the first call still runs");
    assert.equal((await answer).heard.at(-1), "finish ok");
    await eventually(() => assert.equal(proxy.open, 1));
  });
});

describe("what is no runner", () => {
  /** TLS with a runner's certificate, and then this. */
  const speaking = (speak: (socket: Socket) => void) =>
    createTlsServer({ ...runnerPki, requestCert: true, ALPNProtocols: ["h2"] }, speak);
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const noise = Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 151 + 7) % 256));
  const impostors: Readonly<Record<string, () => Server>> = {
    "closes at once": () => createServer((socket) => socket.destroy()),
    "says nothing": () => createServer(() => {}),
    "speaks no TLS": () => createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
    "closes after the handshake": () => speaking((socket) => socket.destroy()),
    "says nothing after the handshake": () => speaking(() => {}),
    "speaks no HTTP/2": () => speaking((socket) => socket.write(noise)),
    "breaks HTTP/2 after its settings": () => speaking((socket) => socket.write(Buffer.concat([settings, noise]))),
    "resets every connection": () => createServer((socket) => socket.resetAndDestroy()),
    "speaks HTTP/2, and knows no engage": () =>
      createSecureServer({ ...runnerPki, requestCert: true }, (_request, response) => response.writeHead(404).end()),
  };
  for (const [what, impostor] of Object.entries(impostors)) {
    it(`harms no gateway: it ${what}`, async () => {
      const server = impostor();
      const sockets = new Set<Socket>();
      server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => {})));
      server.on("secureConnection", (socket: Socket) => socket.on("error", () => {}));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        await using runner = connect(address, { dialTimeoutMs: 200 });
        assert.equal(await tryOnce(runner), "refused runner_unreachable");
        await eventually(() => assert.ok(sockets.size > 1, "it tries again"));
      } finally {
        for (const socket of sockets) socket.destroy();
        server.close();
      }
    });
  }
});
