import { randomBytes } from "node:crypto";
import type { RequestListener } from "node:http";

import { systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import type { Driver } from "../../runner/driver/driver.ts";
import { socketDirectories } from "../../runner/hot/socket-directory.ts";
import { createRunner, type Runner } from "../../runner/runner.ts";
import { inlineDriver } from "./inline-driver.ts";
import { PROCESS_LIMITS } from "./process-runner.ts";

/** A runner whose functions are in this process: `serve` answers `POST /call` of every container. */
export async function inlineRunner(
  runnerId: string,
  serve: RequestListener,
  driver: Driver<object> = inlineDriver(serve),
): Promise<Runner> {
  const bootId = randomBytes(8).toString("hex");
  return createRunner({
    identity: { runnerId, bootId, version: "0" },
    driver,
    resources: { memoryMiB: 1_024, cpuMillis: 2_000 },
    directories: await socketDirectories({ installation: `testing-${process.pid}`, bootId }),
    limits: PROCESS_LIMITS,
    host: { clock: systemClock, log: silentLog, metrics: createMetrics() },
  });
}
