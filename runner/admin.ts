import { serveAdmin, type AdminServer } from "../core/admin-server.ts";
import type { Settings } from "../core/config.ts";
import type { Log } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import { processMetrics } from "../core/process-metrics.ts";
import type { Readiness } from "../core/readiness.ts";
import { VERSION } from "../core/version.ts";
import type { Driver } from "./driver/driver.ts";
import type { Runner } from "./runner.ts";
import type { RUNNER_SETTINGS } from "./settings.ts";

export interface AdminSubjects {
  readonly runner: Runner;
  readonly driver: Pick<Driver, "availability">;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** The runner's listener for operators, or undefined where the settings ask for none. @throws Error as `serveAdmin` */
export async function serveRunnerAdmin(
  settings: Settings<typeof RUNNER_SETTINGS>,
  { runner, driver, metrics, log }: AdminSubjects,
): Promise<AdminServer | undefined> {
  const { FN_ADMIN_BIND: host, FN_ADMIN_PORT: port, FN_ADMIN_TOKEN: token } = settings;
  if (port === undefined) return undefined;
  processMetrics(metrics);
  const readiness = () => runnerReadiness(runner, driver);
  const server = await serveAdmin({ host, port, token, metrics, readiness, version: VERSION });
  log.info("Admin listener serves", { address: server.address });
  return server;
}

/** What gateways are told, too: nobody asks twice whether containers can be started. */
function runnerReadiness(runner: Runner, { availability }: AdminSubjects["driver"]): Readiness {
  if (runner.status().draining) return { ready: false, detail: "draining" };
  const trouble = availability?.trouble;
  return { ready: trouble === undefined, detail: trouble?.message ?? "takes calls" };
}
