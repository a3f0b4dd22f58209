import { randomBytes } from "node:crypto";
import { before } from "node:test";

import { systemClock } from "../../../../core/clock.ts";
import { silentLog } from "../../../../core/log.ts";
import { buildExampleImages } from "../../../../examples/functions/build.ts";
import { describeDriver } from "../../../../kiln/testing/describe-driver.ts";
import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { dockerDriver } from "../../../../runner/driver/docker/docker-driver.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";

const { engine, skip } = await dockerOrSkip();

before(async () => {
  if (skip === false) await buildExampleImages(engine);
});

const bootId = randomBytes(8).toString("hex");

describeDriver(
  "docker",
  async () =>
    dockerDriver({
      docker: engine,
      installation: { id: "tests", runnerId: "contract", bootId },
      guard: createGuard(),
      clock: systemClock,
      log: silentLog,
    }),
  {
    skip: skip === false ? undefined : skip,
    sandbox: true,
    unknownImage: "image_pull_failed",
    setEnv: (options, name, value) => void (options.Env = [...(options.Env ?? []), `${name}=${value}`]),
    kill: async (container) => void (await engine.getContainer(container.id).kill()),
    async leftovers({ id }) {
      const left = await engine.listContainers({ all: true, filters: { name: [id] } });
      return left.map(({ Names }) => Names.join());
    },
  },
);
