import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { stopOnSignals } from "../../core/stop-requests.ts";
import { chooseDriver } from "../../kiln/choose-driver.ts";
import { installationId } from "../../kiln/installation-id.ts";
import { readStartArgs } from "../../kiln/start-args.ts";
import { gatewayEnv, runnerEnv, startWarnings } from "../../kiln/start-env.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { VirtualClock } from "../../kiln/testing/virtual-clock.ts";

const { host, skip } = await dockerOrSkip();

let directory = "";

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "kiln-start-"));
});
after(() => rm(directory, { recursive: true }));

describe("readStartArgs", () => {
  it("hands each file to the process it is for, with its whole path", () => {
    const args = ["--overriders", "./a.ts", "--hooks=b/b.ts", "--guard", "/c.yaml", "--workers", "2"];

    assert.deepEqual(readStartArgs(args, "/here"), {
      gateway: ["--overriders", "/here/a.ts", "--workers=2"],
      runner: ["--hooks", "/here/b/b.ts", "--guard", "/c.yaml", "--workers=2"],
    });
    assert.deepEqual(readStartArgs([], "/here"), { gateway: [], runner: [] });
  });

  it("names what is wrong with the arguments", () => {
    assert.throws(() => readStartArgs(["--hook", "a"], "/"), /Unknown option '--hook'/);
    assert.throws(() => readStartArgs(["a.ts"], "/"), /Unexpected argument 'a\.ts'/);
    assert.throws(() => readStartArgs(["--hooks"], "/"), /'--hooks <value>' argument missing/);
    assert.throws(() => readStartArgs(["--hooks="], "/"), /^Error: --hooks is empty, expected a file$/);
  });
});

describe("gatewayEnv and runnerEnv", () => {
  const pki = { cert: "/c", key: "/k", ca: "/a" };
  const own = { FN_NODE_CERT: "/c", FN_NODE_CERT_KEY: "/k", FN_NODE_CERT_AUTHORITY: "/a" };

  it("give each process its own settings of the user's, and none that only the other knows", () => {
    const env = {
      PATH: "/bin",
      FN_PORT: "1",
      FN_GRPC_PORT: "2",
      FN_LOG_LEVEL: "debug",
      FN_PLACER_TIMEOUT_MSECS_FILE: "/f",
    };

    assert.deepEqual(gatewayEnv(env, pki, "127.0.0.1:2", {}), {
      PATH: "/bin",
      FN_PORT: "1",
      FN_LOG_LEVEL: "debug",
      FN_PLACER_TIMEOUT_MSECS_FILE: "/f",
      FN_RUNNER_ADDRESSES: "127.0.0.1:2",
      ...own,
    });
    assert.deepEqual(runnerEnv(env, pki, {}), {
      PATH: "/bin",
      FN_GRPC_PORT: "2",
      FN_LOG_LEVEL: "debug",
      FN_BIND: "127.0.0.1",
      FN_ALLOW_LOCAL_IMAGES: "true",
      ...own,
    });
  });

  it("let this machine's images be used behind a gateway that only this machine reaches, unless told otherwise", () => {
    const allowed = (env: Record<string, string>) => runnerEnv(env, pki, {})["FN_ALLOW_LOCAL_IMAGES"];

    assert.equal(allowed({}), "true");
    assert.equal(allowed({ FN_BIND: "0.0.0.0" }), "false");
    assert.equal(allowed({ FN_BIND: "0.0.0.0", FN_ALLOW_LOCAL_IMAGES: "true" }), "true");
  });

  it("let the user's setting win over a default, unless it is empty", () => {
    const defaults = { FN_FUNCTIONS_FILE: "default.yaml" };

    const functionsFile = (env: Record<string, string>) => gatewayEnv(env, pki, "", defaults)["FN_FUNCTIONS_FILE"];

    assert.equal(functionsFile({ FN_FUNCTIONS_FILE: "mine.yaml" }), "mine.yaml");
    assert.equal(functionsFile({ FN_FUNCTIONS_FILE: "" }), "default.yaml");
  });

  it("keep the runner on this machine, and certificates and addresses in agreement, and say so", () => {
    const env = { FN_BIND: "0.0.0.0", FN_NODE_CERT: "/mine", FN_RUNNER_ADDRESSES: "far:1", FN_PROT: "1" };

    assert.equal(gatewayEnv(env, pki, "127.0.0.1:2", {})["FN_BIND"], "0.0.0.0");
    assert.equal(runnerEnv(env, pki, {})["FN_BIND"], "127.0.0.1");
    assert.equal(gatewayEnv(env, pki, "127.0.0.1:2", {})["FN_NODE_CERT"], "/c");
    assert.equal(gatewayEnv(env, pki, "127.0.0.1:2", {})["FN_RUNNER_ADDRESSES"], "127.0.0.1:2");
    assert.deepEqual(startWarnings(env), [
      "FN_NODE_CERT has no effect here: start makes certificates and addresses itself",
      "FN_RUNNER_ADDRESSES has no effect here: start makes certificates and addresses itself",
      "FN_PROT is not a setting; the nearest is FN_PORT",
    ]);
  });
});

describe("chooseDriver", () => {
  const nowhere = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };

  it("takes Docker where it answers", { skip }, async () => {
    const { driver, sentence } = await chooseDriver({ DOCKER_HOST: host });

    assert.equal(driver, "docker");
    assert.match(sentence, /^Functions run in containers of Docker \d+\.\d+.*\.$/);
  });

  it("takes plain processes where there is no Docker, and says so in one sentence", async () => {
    assert.deepEqual(await chooseDriver(nowhere), {
      driver: "process",
      sentence:
        "Functions run as plain processes without isolation, since there is no Docker at /nonexistent/docker.sock.",
    });
  });

  it("says when a socket is there and nobody answers", async () => {
    const path = join(directory, "mute.sock");
    const mute = createServer((socket) => socket.destroy()).listen(path);
    try {
      const { driver, sentence } = await chooseDriver({ DOCKER_HOST: `unix://${path}` });
      assert.equal(driver, "process");
      assert.match(sentence, /since Docker does not answer at unix:\/\/.*\/mute\.sock\.$/);
    } finally {
      mute.close();
    }
  });

  it("does as FN_DRIVER says", async () => {
    const { driver } = await chooseDriver({ DOCKER_HOST: host, FN_DRIVER: "process" });

    assert.equal(driver, "process");
    await assert.rejects(
      chooseDriver({ ...nowhere, FN_DRIVER: "docker" }),
      /^Error: FN_DRIVER is docker, and there is no Docker at/,
    );
    await assert.rejects(
      chooseDriver({ FN_DRIVER: "podman" }),
      /^Error: FN_DRIVER is "podman", expected docker or process$/,
    );
    await assert.rejects(chooseDriver({ DOCKER_HOST: "ssh://far" }), /expected unix:\/\/\/path or tcp:\/\/host:port/);
  });
});

describe("installationId", () => {
  it("is one for all starts of a clone, also when they come at once, and another for each clone", async () => {
    const first = join(directory, "first/.kiln");
    const ids = await Promise.all(Array.from({ length: 8 }, () => installationId(first)));

    const other = await installationId(join(directory, "second/.kiln"));

    assert.equal(new Set(ids).size, 1);
    assert.match(other, /^[0-9a-f]{12}$/);
    assert.notEqual(other, ids[0]);
    assert.deepEqual(await readdir(first), ["installation-id"]);
  });

  it("says what to do about a spoilt file", async () => {
    const state = join(directory, "spoilt/.kiln");
    await installationId(state);
    await writeFile(join(state, "installation-id"), "two words\n");

    await assert.rejects(
      installationId(state),
      /^Error: Cannot use ".*\/installation-id": .*; remove it to have it made anew$/,
    );
  });
});

describe("stopOnSignals", () => {
  it("tells a second request from the same one arriving twice", () => {
    const source = new EventEmitter();
    const clock = new VirtualClock();
    using stop = stopOnSignals(source, clock);
    assert.equal(stop.asked.aborted, false);

    source.emit("SIGINT");
    clock.advance(299);
    source.emit("SIGINT");
    assert.deepEqual([stop.asked.aborted, stop.hurried.aborted], [true, false]);

    clock.advance(1);
    source.emit("SIGTERM");
    assert.equal(stop.hurried.aborted, true);
  });

  it("leaves signals alone once it is disposed", () => {
    const source = new EventEmitter();

    stopOnSignals(source)[Symbol.dispose]();

    assert.deepEqual(source.eventNames(), []);
  });
});
