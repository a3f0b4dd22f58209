import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { engineEndpoint } from "../../../../runner/driver/docker/engine-endpoint.ts";
import { isOlderThan } from "../../../../runner/driver/docker/engine.ts";

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

describe("engineEndpoint", () => {
  it("reads what DOCKER_HOST says, an IPv6 address as sockets take it", () => {
    assert.deepEqual(engineEndpoint("unix:///run/docker.sock"), { socketPath: "/run/docker.sock" });
    assert.deepEqual(engineEndpoint("tcp://docker.test:2375"), { host: "docker.test", port: "2375" });
    assert.deepEqual(engineEndpoint("tcp://[::1]:2375"), { host: "::1", port: "2375" });
    assert.throws(() => engineEndpoint("ssh://docker.test"), /expected unix:\/\/\/path or tcp:\/\/host:port/);
  });
});
