import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { leaks, soakStart } from "../../kiln/soak/soak-start.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";

const { engine, skip } = await dockerOrSkip();

describe("npm start under load", { skip, timeout: 300_000 }, () => {
  it("holds nothing more when it is over: npm run soak:start has more of it", async () => {
    const report = await soakStart({ docker: engine, seconds: 4, clients: 12, seed: 7 });

    assert.deepEqual(leaks(report), []);
    const { endings } = report;
    for (const wanted of ["200", "left"]) assert.ok((endings[wanted] ?? 0) > 0, `a call ended as ${wanted}`);
    // Nothing that a client can do, or a function, is the platform's fault.
    assert.deepEqual(
      Object.keys(endings).filter((ending) => !/^(200|502|503|504|left|reset)$/.test(ending)),
      [],
    );
  });
});

describe("leaks", () => {
  const process = { files: 20, threads: 11, residentMiB: 100, resources: { TCPSocketWrap: 1 } };
  const rest = {
    containers: 0,
    socketDirectories: 8,
    spareDirectories: 8,
    runner: { queued: 0, running: 0, bookedBytes: 0 },
    gateway: process,
    runnerProcess: process,
  };

  it("names everything that is more than at rest", () => {
    const after = {
      containers: 1,
      socketDirectories: 9,
      spareDirectories: 8,
      runner: { queued: 1, running: 1, bookedBytes: 64 },
      gateway: { ...process, files: 21, resources: { TCPSocketWrap: 2 } },
      runnerProcess: { ...process, resources: { TCPSocketWrap: 1, Timeout: 3 } },
    };

    assert.deepEqual(leaks({ before: rest, after: rest }), []);
    assert.equal(leaks({ before: rest, after }).length, 8);
    assert.equal(leaks({ before: rest, after: { ...rest, socketDirectories: 7 } }).length, 1, "not made up yet");
  });
});
