import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { startHooks as cpuSharesHooks } from "../../examples/cpu-shares/hooks.ts";
import { overriders as cpuSharesOverriders } from "../../examples/cpu-shares/overriders.ts";
import { runnerOverriders, startHooks } from "../../examples/environment/hooks.ts";
import { overriders as cheeseOverriders } from "../../examples/environment/overriders.ts";
import { cgroupCpuShares } from "../../kiln/testing/cgroup-cpu-shares.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { startSystem, type System } from "../../kiln/testing/system.ts";

const { engine, skip } = await dockerOrSkip();

/** What the probe reports of itself: see examples/functions/probe/README.md. */
interface Report {
  readonly config: Readonly<Record<string, string>>;
  readonly probe: { readonly instance: string; readonly mostInFlight: number };
}

/*
 * The worked example: a gateway with overriders, three runners with overriders and driver hooks of their own,
 * mutual TLS between them, functions in Docker containers. Fn's own system test does the same.
 */
describe("a gateway and three runners", { skip }, () => {
  let system: System;
  before(async () => {
    system = await startSystem({
      docker: engine,
      images: ["probe"],
      runners: 3,
      functions: `
        apps:
          - name: examples
            config: { APP_KEY: app }
            fns:
              - id: probe
                name: probe
                image: kiln-example-probe:latest
                memory: 128
                tmpfs_size: 32
                cpus: "500m"
                config: { FN_CPUS: "500m", OWN_KEY: own }
      `,
      // In the gateway: drops tmpfs, CPU quota and a config key, and sets the extension FN_CHEESE.
      overriders: cheeseOverriders,
      // In the runners: set the extension FN_WINE, and a hook that puts both into the container's environment.
      runnerOverriders,
      hooks: startHooks.map((start) => ({ start })),
    });
  });
  after(() => system[Symbol.asyncDispose]());

  it("brings what an overrider asked for into the container", async () => {
    const answer = await system.invoke("probe");

    assert.equal(answer.status, 200, answer.text);
    const { config } = answer.json() as Report;
    assert.equal(config["FN_CHEESE"], "Tete de Moine", "from the gateway's overrider, by the driver hook");
    assert.equal(config["FN_WINE"], "1982 Margaux", "from the runner's overrider, by the driver hook");
    assert.equal(config["FN_CPUS"], undefined, "dropped by the gateway's overrider");
    assert.equal(config["OWN_KEY"], "own");
    assert.equal(config["APP_KEY"], "app");
    assert.equal(config["FN_MEMORY"], "128");
    assert.equal(config["FN_FORMAT"], "http-stream");
  });

  it("says which call it was, and runs the next one in a hot container", async () => {
    const first = await system.invoke("probe");
    const second = await system.invoke("probe");

    assert.match(first.headers.get("fn-call-id") ?? "", /^[0-9A-HJKMNP-TV-Z]{26}$/);
    assert.notEqual(first.headers.get("fn-call-id"), second.headers.get("fn-call-id"));
    assert.equal(second.status, 200);
  });

  it("spreads concurrent calls over containers, each with its own answer", async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        system.invoke("probe", { sleepTime: 300, echoContent: `call ${i}`, trailerRepeat: 1 }),
      ),
    );

    assert.deepEqual(
      answers.map(({ status }) => status),
      Array.from({ length: 6 }, () => 200),
    );
    assert.deepEqual(
      answers.map((answer) => (answer.json() as { trailer: string[] }).trailer.join()),
      Array.from({ length: 6 }, (_, i) => `call ${i}`),
    );
    const probes = answers.map((answer) => (answer.json() as Report).probe);
    assert.ok(new Set(probes.map(({ instance }) => instance)).size > 1);
    assert.ok(
      probes.every(({ mostInFlight }) => mostInFlight === 1),
      "one call at a time in each container",
    );
  });

  it("answers an unknown function with 404, a code and the call's id", async () => {
    const answer = await system.invoke("nobody");

    assert.equal(answer.status, 404);
    const error = answer.json() as Record<string, unknown>;
    assert.equal(error["code"], "fn_not_found");
    assert.equal(error["callId"], answer.headers.get("fn-call-id"));
  });
});

describe("cpu-shares by plan", { skip }, () => {
  let system: System;
  before(async () => {
    system = await startSystem({
      docker: engine,
      images: ["hello"],
      functions: `
        apps:
          - name: examples
            fns: [{ id: hello, name: hello, image: "kiln-example-hello:latest" }]
      `,
      overriders: cpuSharesOverriders,
      hooks: cpuSharesHooks.map((start) => ({ start })),
    });
  });
  after(() => system[Symbol.asyncDispose]());

  const helloContainers = async () => {
    const filters = JSON.stringify({ label: [`kiln.installation=testing-${process.pid}`] });
    const listed = await engine.listContainers({ filters });
    return Promise.all(listed.map(({ Id }) => engine.getContainer(Id).inspect()));
  };

  it("reaches the container and its cgroup, and calls of different plans never share one", async () => {
    assert.equal((await system.invoke("hello", {}, { "x-plan": "gold" })).status, 200);
    assert.equal((await system.invoke("hello", {}, { "x-plan": "gold" })).status, 200);
    assert.equal((await system.invoke("hello", {}, {})).status, 200);

    const containers = await helloContainers();
    const shares = containers.map(({ HostConfig }) => HostConfig.CpuShares ?? 0).sort((a, b) => a - b);
    assert.deepEqual(shares, [256, 1024], "two gold calls shared one container, the other plan got its own");
    for (const { Id, HostConfig, State } of containers) {
      assert.equal(await cgroupCpuShares(State.Pid, Id), HostConfig.CpuShares);
    }
  });
});
