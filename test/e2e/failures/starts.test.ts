import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { dockerOrSkip } from "../../../kiln/testing/docker.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { fakeRegistry } from "../../../kiln/testing/fake-registry.ts";
import {
  assertFailure,
  callProbe,
  probeFunctions,
  type ExpectedFailure,
  type ProbeFields,
} from "../../../kiln/testing/probe-calls.ts";
import { startSystem, type System } from "../../../kiln/testing/system.ts";
import type { ContainerCreateOptions } from "../../../runner/driver/docker/docker-driver.ts";
import type { DriverHook } from "../../../runner/driver/driver.ts";

const { engine, skip } = await dockerOrSkip();

interface Row {
  /** The reference's words. */
  readonly situation: string;
  readonly fn: ProbeFields;
  readonly failure: ExpectedFailure;
  /** Where a container makes a difference. */
  readonly alsoInDocker?: true;
}

/** A busy Docker may take seconds for what fails at once: only a start that hangs is to meet this clock. */
const HASTY_INIT_MS = 1_500;
const LONG_INIT_MS = 20_000;
const PULL_TIMEOUT_MS = 500;

const initFailed = (why: RegExp): ExpectedFailure => ({
  status: 502,
  code: "container_init_failed",
  component: "function",
  message: new RegExp(`^Container failed to initialize, please ensure .*: ${why.source}`),
});

const listens = (how: string): ProbeFields => ({ config: { PROBE_LISTEN: how } });

/** Functions that never come to listen: section 2.14 of the runner's reference, second table. */
const STARTS: readonly Row[] = [
  {
    situation: "container exits before the socket appears",
    fn: { config: { ENABLE_INIT_EXIT: "3" } },
    failure: initFailed(/it exited with code 3 before it listened/),
    alsoInDocker: true,
  },
  {
    situation: "container exits before the socket appears, though with 0",
    fn: { config: { ENABLE_INIT_EXIT: "0" } },
    failure: initFailed(/it exited with code 0 before it listened/),
  },
  {
    situation: "socket invalid: an absolute link",
    fn: listens("absolute-link"),
    failure: initFailed(/lsnr.sock is a link to .*; expected a socket/),
    alsoInDocker: true,
  },
  {
    situation: "socket invalid: a link to another directory",
    fn: listens("parent-link"),
    failure: initFailed(/lsnr.sock is a link to "\.\./),
  },
  {
    situation: "socket invalid: a dangling link",
    fn: listens("dangling-link"),
    failure: initFailed(/lsnr.sock is a link to "nobody.sock", and that is nothing/),
  },
  {
    situation: "socket invalid: a plain file",
    fn: listens("file"),
    failure: initFailed(/lsnr.sock is a plain file; expected/),
  },
  {
    situation: "socket invalid: a directory",
    fn: listens("directory"),
    failure: initFailed(/lsnr.sock is a directory; expected/),
  },
  {
    situation: "socket not ready in HotStartTimeout",
    fn: listens("nothing"),
    failure: {
      status: 504,
      code: "container_init_timeout",
      component: "function",
      message:
        /: no socket 1500 ms after its start, FN_HOT_START_TIMEOUT_MSECS \(before that \d+ ms pulling.*\d+ ms starting it\)$/,
    },
    alsoInDocker: true,
  },
];

const DRIVERS = [
  { driver: "plain processes", docker: undefined, skip: false },
  { driver: "Docker", docker: engine, skip },
] as const;

for (const { driver, docker, skip } of DRIVERS) {
  const rows = [...STARTS.entries()].filter(([, { alsoInDocker }]) => docker === undefined || alsoInDocker);

  describe(`a start that fails, in ${driver} (runner reference 2.14)`, { skip, timeout: 60_000 }, () => {
    const systems: Partial<Record<"patient" | "hasty", System>> = {};
    before(async () => {
      const options = {
        ...(docker === undefined ? {} : { docker }),
        images: ["probe"],
        functions: probeFunctions(Object.fromEntries(rows.map(([row, { fn }]) => [`row-${row}`, fn]))),
      } as const;
      systems.patient = await startSystem({ ...options, runnerLimits: { initTimeoutMs: LONG_INIT_MS } });
      systems.hasty = await startSystem({ ...options, runnerLimits: { initTimeoutMs: HASTY_INIT_MS } });
    });
    after(() => Promise.all(Object.values(systems).map((system) => system[Symbol.asyncDispose]())));

    describe("is told as what it was", { concurrency: 4 }, () => {
      for (const [row, { situation, failure }] of rows) {
        it(`${situation}: ${failure.status} ${failure.code}`, async () => {
          const system = failure.code === "container_init_timeout" ? systems.hasty : systems.patient;
          assert.ok(system !== undefined);

          const response = await callProbe(system, `row-${row}`);

          await assertFailure(response, failure);
        });
      }
    });

    it("and leaves nothing booked", async () => {
      for (const system of Object.values(systems)) {
        await eventually(() => {
          const { capacity } = system.runners[0]?.hello() ?? {};
          assert.equal(capacity?.freeMemoryMiB, capacity?.totalMemoryMiB);
        });
      }
    });
  });
}

describe("an image that cannot be used (runner reference 2.14)", { skip, timeout: 60_000 }, () => {
  /** Calls a function of one image on a fresh system. */
  async function callImage(
    image: string,
    hooks: readonly DriverHook<ContainerCreateOptions>[] = [],
  ): Promise<Response> {
    await using system = await startSystem({
      docker: engine,
      images: ["probe"],
      functions: probeFunctions({ probe: { image } }),
      pulls: { pullTimeoutMs: PULL_TIMEOUT_MS },
      hooks,
    });
    const response = await callProbe(system, "probe", { isEmptyBody: true });
    // Read before the gateway is gone.
    return new Response(await response.text(), response);
  }

  it("pull failure, nobody listens at the registry: 502 image_pull_failed, and names the image", async () => {
    const response = await callImage("localhost:1/nobody/cheese:1");

    await assertFailure(response, {
      status: 502,
      code: "image_pull_failed",
      component: "function",
      message: /^Failed to pull image 'localhost:1\/nobody\/cheese:1': /,
    });
  });

  it("pull failure, the registry does not know the image: its own 404 is kept", async () => {
    await using registry = await fakeRegistry();

    const response = await callImage(`${registry.host}/quark:1`);

    await assertFailure(response, { status: 404, code: "image_pull_failed", component: "function", message: /quark/ });
  });

  it("pull timeout: 504 image_pull_timeout, and names the clock", async () => {
    await using registry = await fakeRegistry();
    const release = registry.hold();

    const response = await callImage(`${registry.host}/cheese:1`);

    release();
    await assertFailure(response, {
      status: 504,
      code: "image_pull_timeout",
      component: "function",
      message: /cheese:1' was not there after 500 ms, FN_HOT_PULL_TIMEOUT_MSECS$/,
    });
  });

  it("image with VOLUME: 400 image_has_volume, and names the path", async (t) => {
    await using registry = await fakeRegistry({ volumes: ["/cellar"] });
    const image = `${registry.host}/cheese:1`;
    t.after(() => engine.getImage(image).remove());

    const response = await callImage(image);

    await assertFailure(response, {
      status: 400,
      code: "image_has_volume",
      component: "function",
      message: /\/cellar/,
    });
  });

  it("image whose command cannot be run: 502 container_init_failed", async (t) => {
    await using registry = await fakeRegistry();
    const image = `${registry.host}/cheese:1`;
    t.after(() => engine.getImage(image).remove());

    const response = await callImage(image);

    // Docker's init says it by an exit code, Docker itself in words.
    const message = /exited with code 127|cannot be run/;
    await assertFailure(response, { status: 502, code: "container_init_failed", component: "function", message });
  });

  it("image vanished between pull and create: refused as busy, and the call is tried again", async () => {
    const [repo, tag] = ["kiln-example-vanishing", `failures-${process.pid}`] as const;
    const [image, probe] = [engine.getImage(`${repo}:${tag}`), engine.getImage("kiln-example-probe:latest")];
    let starts = 0;
    const vanish: DriverHook<ContainerCreateOptions> = {
      start: (next) => async (start, signal) => {
        if (++starts > 1) return next(start, signal);
        await image.remove();
        try {
          return await next(start, signal);
        } finally {
          await probe.tag({ repo, tag });
        }
      },
    };
    await using system = await startSystem({
      docker: engine,
      images: ["probe"],
      functions: probeFunctions({ probe: { image: `${repo}:${tag}` } }),
      hooks: [vanish],
    });
    await probe.tag({ repo, tag });

    const response = await callProbe(system, "probe", { isEmptyBody: true });

    assert.equal(response.status, 200, await response.text());
    assert.equal(starts, 2);
    await image.remove();
  });

  it("other docker errors: 500 runner_internal with Docker's own words (unlike Fn: never a 200 with an error in it)", async () => {
    const contradiction: DriverHook<ContainerCreateOptions> = {
      start: (next) => (start, signal) => {
        Object.assign(start.options.HostConfig ?? {}, { NanoCpus: 500_000_000, CpuPeriod: 100_000, CpuQuota: 50_000 });
        return next(start, signal);
      },
    };

    const response = await callImage("kiln-example-probe:latest", [contradiction]);

    await assertFailure(response, {
      status: 500,
      code: "runner_internal",
      component: "runner",
      message: /Conflicting options/,
    });
  });
});
