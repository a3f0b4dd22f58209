import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { inspect } from "node:util";

import { eventually } from "../../../../kiln/testing/eventually.ts";
import { connectEngine, isOlderThan } from "../../../../runner/driver/docker/engine.ts";

describe("connectEngine", () => {
  it("pays for no other request's connection: docker-modem renders its agent at every request", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "kiln-engine-"));
    t.after(() => rm(directory, { recursive: true }));
    const socketPath = join(directory, "docker.sock");
    let waiting = 0;
    const server = createServer(() => void (waiting += 1)).listen(socketPath);
    await once(server, "listening");
    const engine = connectEngine({ host: `unix://${socketPath}` });
    const requests = Array.from({ length: 20 }, () => engine.version());
    await eventually(() => assert.equal(waiting, requests.length));

    const agent: unknown = Reflect.get(engine.modem, "agent");
    const rendered = inspect(agent, { showHidden: true, depth: null });

    server.closeAllConnections();
    server.close();
    await Promise.allSettled(requests);
    assert.notEqual(agent, undefined);
    assert.ok(rendered.length < 100, `${rendered.length} characters for ${requests.length} requests`);
  });
});

describe("isOlderThan", () => {
  it("compares Docker's versions by their numbers (Fn's TestRunnerDockerVersion)", () => {
    assert.equal(isOlderThan("20.10.24+dfsg1", "1.0.0"), false);
    assert.equal(isOlderThan("20.10.24+dfsg1", "9999.0.0"), true);
    assert.equal(isOlderThan("20.10.0", "20.10.0"), false);
    assert.equal(isOlderThan("17.10.0-ce", "20.10.0"), true);
    assert.equal(isOlderThan("28.5.2", "20.10.0"), false);
    assert.equal(isOlderThan("29.1.0-rc.1", "29.2.0"), true);
  });
});
