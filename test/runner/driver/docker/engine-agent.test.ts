import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { inspect } from "node:util";

import { eventually } from "../../../../kiln/testing/eventually.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";
import { EngineAgent } from "../../../../runner/driver/docker/engine-agent.ts";
import { connectEngine } from "../../../../runner/driver/docker/engine.ts";

const TOO_LATE = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";

describe("EngineAgent", () => {
  it("opens connections ahead, a second after a request took one, and gives each request one of its own", async (t) => {
    const { engine, clock, open, asked } = await engineWith(t, 2);
    await engine.ping();
    assert.equal(asked.size, 1);
    await clock.run(999);
    assert.equal(open.size, 0);
    await clock.run(1);
    await eventually(() => assert.equal(open.size, 2));
    const ahead = [...open];

    await engine.ping();
    await engine.ping();
    assert.deepEqual([...asked].slice(1), ahead);
    await engine.ping();

    assert.equal(asked.size, 4);
  });

  it("hands out none that the Engine has closed, and goes on with new ones once it is back", async (t) => {
    const { engine, clock, open, asked } = await engineWith(t, 2);
    await engine.ping();
    await clock.run(1_000);
    await eventually(() => assert.equal(open.size, 2));
    const closed = [...open].map((connection) => once(connection, "close"));
    for (const connection of open) connection.end();
    await Promise.all(closed);

    await engine.ping();

    assert.equal(asked.size, 2);
    await clock.run(1_000);
    await eventually(() => assert.equal(open.size, 2));
  });

  it("hands out none on which something came unasked, as from a proxy that waits no longer for a request", async (t) => {
    const { engine, clock, open, asked } = await engineWith(t, 2);
    await engine.ping();
    await clock.run(1_000);
    await eventually(() => assert.equal(open.size, 2));
    const [late, last] = [...open];
    late?.write(TOO_LATE);
    last?.end(TOO_LATE);
    // Both ends have the same event loop: it is there after a turn.
    await clock.settle();

    await engine.ping();

    assert.equal(asked.size, 2);
    await eventually(() => assert.equal(open.size, 0));
  });

  it("keeps none once it is disposed of, and requests go on without", async (t) => {
    const { engine, agent, clock, open, asked } = await engineWith(t, 2);
    await engine.ping();
    await clock.run(1_000);
    await eventually(() => assert.equal(open.size, 2));

    agent[Symbol.dispose]();
    await eventually(() => assert.equal(open.size, 0));
    await engine.ping();

    assert.equal(asked.size, 2);
    assert.equal(clock.pending, 0);
  });

  it("has nothing to do with connections that cannot be opened", async (t) => {
    const { engine, server, clock, open } = await engineWith(t, 2);
    await engine.ping();
    server.close();
    await once(server, "close");

    await clock.run(1_000);
    await assert.rejects(engine.ping(), /ENOENT|ECONNREFUSED/);

    assert.equal(open.size, 0);
  });

  it("shows no other request's connection: docker-modem renders its agent at every request", async (t) => {
    const { engine, agent, server } = await engineWith(t, 0);
    let waiting = 0;
    server.removeAllListeners("request").on("request", () => void (waiting += 1));
    const requests = Array.from({ length: 20 }, () => engine.ping());
    await eventually(() => assert.equal(waiting, requests.length));

    const rendered = inspect(agent, { showHidden: true, depth: null });

    server.closeAllConnections();
    await Promise.allSettled(requests);
    assert.equal(Reflect.get(engine.modem, "agent"), agent);
    assert.ok(rendered.length < 100, `${rendered.length} characters for ${requests.length} requests`);
  });
});

/** A server that answers, and a client of it. */
async function engineWith(t: TestContext, ahead: number) {
  const directory = await mkdtemp(join(tmpdir(), "kiln-engine-"));
  t.after(() => rm(directory, { recursive: true }));
  const socketPath = join(directory, "docker.sock");
  /** Those that nothing was asked on. */
  const open = new Set<Socket>();
  const asked = new Set<Socket>();
  const server: Server = createServer(({ socket }, response) => {
    asked.add(socket);
    open.delete(socket);
    response.end("OK");
  });
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  await once(server.listen(socketPath), "listening");
  t.after(() => server.close());
  const clock = new VirtualClock();
  const agent = new EngineAgent({ endpoint: { socketPath }, ahead, clock });
  t.after(() => agent[Symbol.dispose]());
  return { engine: connectEngine({ host: `unix://${socketPath}`, agent }), agent, server, clock, open, asked };
}
