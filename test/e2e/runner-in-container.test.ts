import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import { buildExampleImages } from "../../examples/functions/build.ts";
import { buildRunnerImage } from "../../examples/runner-image/build.ts";
import { writePki } from "../../kiln/pki-files.ts";
import { createAuthority, issue, type Authority } from "../../kiln/pki.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { gatewayProcess } from "../../kiln/testing/main-process.ts";
import { callProbe, probeFunctions, probeInstance } from "../../kiln/testing/probe-calls.ts";

const { engine, host: dockerHost, skip: noDocker } = await dockerOrSkip();
const dockerSocket = /^unix:\/\/(.+)$/.exec(dockerHost)?.[1];
const skip = dockerSocket === undefined ? `Docker is at ${dockerHost}, no socket to give to a container` : noDocker;
const PAUSE_IS_TOLD = "Containers are frozen by Docker's pause";

interface Dockerized extends AsyncDisposable {
  readonly runnerId: string;
  readonly address: string;
  /** The host's side of the socket directories. */
  readonly sockets: string;
  output(): Promise<string>;
  /** As `docker stop` does. Resolves with its exit code. */
  stop(): Promise<number>;
}

/** As the README's command line does it. */
async function runnerContainer(authority: Authority, host: object, binds: readonly string[]): Promise<Dockerized> {
  const runnerId = `dockerized-${randomBytes(6).toString("hex")}`;
  const directory = await mkdtemp(join(tmpdir(), "kiln-ric-"));
  const [pki, sockets] = [join(directory, "pki"), join(directory, "iofs")];
  await Promise.all([mkdir(pki), mkdir(sockets)]);
  await writePki(pki, "kiln-runner", await issue(authority, { name: "kiln-runner", role: "runner" }));
  const container = await engine.createContainer({
    name: runnerId,
    Image: await buildRunnerImage(engine),
    ExposedPorts: { "9190/tcp": {} },
    Env: [
      "FN_BIND=0.0.0.0",
      "FN_ALLOW_LOCAL_IMAGES=true",
      `FN_RUNNER_ID=${runnerId}`,
      "FN_IOFS_PATH=/iofs",
      `FN_IOFS_DOCKER_PATH=${sockets}`,
      "FN_NODE_CERT=/pki/kiln-runner.crt",
      "FN_NODE_CERT_KEY=/pki/kiln-runner.key",
      "FN_NODE_CERT_AUTHORITY=/pki/ca.crt",
    ],
    HostConfig: {
      Binds: [`${dockerSocket}:/var/run/docker.sock`, `${sockets}:/iofs`, `${pki}:/pki:ro`, ...binds],
      PortBindings: { "9190/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] },
      ...host,
    },
  });
  const output = async () => String(await container.logs({ stdout: true, stderr: true }));
  const dispose = async () => {
    await container.remove({ force: true });
    await rm(directory, { recursive: true });
  };
  try {
    await container.start();
    await eventually(async () => assert.match(await output(), /"ready":true/));
    const { NetworkSettings } = await container.inspect();
    const port = NetworkSettings.Ports["9190/tcp"]?.[0]?.HostPort;
    return {
      runnerId,
      address: `127.0.0.1:${port}`,
      sockets,
      output,
      async stop() {
        await container.stop();
        return (await container.inspect()).State.ExitCode;
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function functionsOf({ runnerId }: Dockerized) {
  return engine.listContainers({ all: true, filters: JSON.stringify({ label: [`kiln.runner=${runnerId}`] }) });
}

describe("a runner in a container, with the host's Docker", { skip, timeout: 120_000 }, () => {
  before(() => buildExampleImages(engine, ["probe"]));

  const functions = probeFunctions({ probe: {} });
  const variants: readonly [what: string, host: object, binds: readonly string[], pauses: boolean][] = [
    ["freezes by Docker's pause and says so once", {}, [], true],
    ["freezes by cgroup, given the host's", { PidMode: "host" }, ["/sys/fs/cgroup:/sys/fs/cgroup"], false],
  ];
  for (const [what, host, binds, pauses] of variants) {
    it(`runs calls of a gateway outside, ${what}, and leaves nothing`, async () => {
      const authority = await createAuthority();
      await using runner = await runnerContainer(authority, host, binds);
      await using gateway = await gatewayProcess(authority, [`kiln-runner=${runner.address}`], functions);
      const system = { url: `http://${gateway.address}` };

      const instance = await probeInstance(system, "probe");
      const [started] = await functionsOf(runner);
      const isFrozen = async () => (await engine.getContainer(started?.Id ?? "").inspect()).State.Paused;
      if (pauses) await eventually(async () => assert.equal(await isFrozen(), true));
      assert.equal(await probeInstance(system, "probe"), instance, "the same container, thawed");
      const body = "over the socket that both sides see";
      assert.equal(await (await callProbe(system, "probe", { echo: true }, { body })).text(), body);

      assert.ok(started?.Mounts.some(({ Source }) => Source.startsWith(runner.sockets)));
      assert.equal((await runner.output()).split(PAUSE_IS_TOLD).length - 1, pauses ? 1 : 0);
      assert.equal(await runner.stop(), 0, await runner.output());
      assert.deepEqual(await functionsOf(runner), []);
      assert.deepEqual(await readdir(runner.sockets), []);
    });
  }
});
