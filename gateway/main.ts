import process from "node:process";

import { runService } from "../core/service.ts";
import { GATEWAY_SETTINGS } from "./settings.ts";
import { shareGateway } from "./share-gateway.ts";

const OPTIONS = {
  overriders: "TypeScript or JavaScript file that exports overriders, an array of Hono middleware",
  "log-placements": "file to note every placement in, for kiln replay; at FN_PLACEMENTS_MAX_SIZE it becomes FILE.1",
};

await runService(
  {
    usage: "node gateway/main.ts [--overriders FILE] [--log-placements FILE] [--workers N]",
    settings: GATEWAY_SETTINGS,
    options: OPTIONS,
    share: shareGateway,
    cleanUpMs: (settings) => settings.FN_DB_TIMEOUT_MSECS,
    // A parent of workers has no use for it.
    start: async (input) => (await import("./start-gateway.ts")).startGateway(input),
  },
  process,
  process.env,
);
