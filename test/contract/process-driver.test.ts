import { join } from "node:path";

import { describeDriver } from "../../kiln/testing/describe-driver.ts";
import { processesOf } from "../../kiln/testing/processes-of.ts";
import { processDriver } from "../../runner/driver/process/process-driver.ts";

const functionsDirectory = join(import.meta.dirname, "../../examples/functions");

describeDriver("process", async () => processDriver({ functionsDirectory }), {
  sandbox: false,
  unknownImage: "image_unknown",
  setEnv(options, name, value) {
    options.env[name] = value;
  },
  async kill(_container, { socketDirectory }) {
    for (const id of await processesOf(socketDirectory)) process.kill(id, "SIGKILL");
  },
  leftovers: async ({ socketDirectory }) => (await processesOf(socketDirectory)).map((id) => `process ${id}`),
});
