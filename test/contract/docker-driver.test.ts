import { randomBytes } from "node:crypto";

import { systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import { buildExampleImages } from "../../examples/functions/build.ts";
import { describeDriver } from "../../kiln/testing/describe-driver.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { dockerDriver } from "../../runner/driver/docker/docker-driver.ts";
import { createGuard } from "../../runner/driver/docker/guard.ts";

const { engine, skip } = await dockerOrSkip();
const bootId = randomBytes(8).toString("hex");

async function makeDriver() {
  await buildExampleImages(engine);
  return dockerDriver({
    docker: engine,
    installation: { id: "contract", runnerId: "runner", bootId },
    guard: createGuard(),
    clock: systemClock,
    log: silentLog,
  });
}

describeDriver("docker", makeDriver, {
  skip: skip === false ? undefined : skip,
  sandbox: true,
  // It is looked for in a registry that nobody runs.
  unknownImage: "image_pull_failed",
  setEnv(options, name, value) {
    options.Env = [...(options.Env ?? []), `${name}=${value}`];
  },
  async kill({ id }) {
    await engine.getContainer(id).kill();
  },
  async leftovers({ id }) {
    const left = await engine.listContainers({ all: true, filters: { name: [id] } });
    return left.map(({ Names, State }) => `${State} container ${Names.join()}`);
  },
});
