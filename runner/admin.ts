import { serveAdmin, type AdminServer } from "../core/admin-server.ts";
import type { Settings } from "../core/config.ts";
import type { Log } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import { processMetrics } from "../core/process-metrics.ts";
import type { Readiness } from "../core/readiness.ts";
import { VERSION } from "../core/version.ts";
import { metricsText, type Vitals } from "../core/workers/vitals.ts";
import type { Driver } from "./driver/driver.ts";
import type { Runner } from "./runner.ts";
import type { RUNNER_SETTINGS } from "./settings.ts";

/** The runner's listener for operators, one for all workers; undefined where the settings ask for none. @throws Error as `serveAdmin` */
export async function serveRunnerAdmin(
  settings: Settings<typeof RUNNER_SETTINGS>,
  vitals: Vitals,
  { log, shared }: { readonly log: Log; readonly shared: boolean },
): Promise<AdminServer | undefined> {
  const { FN_ADMIN_BIND: host, FN_ADMIN_PORT: port, FN_ADMIN_TOKEN: token } = settings;
  if (port === undefined) return undefined;
  const readiness = () => vitals.readiness();
  const server = await serveAdmin({
    host,
    port,
    shared,
    token,
    metrics: metricsText(vitals),
    readiness,
    version: VERSION,
  });
  log.info("Admin listener serves", { address: server.address });
  return server;
}

/** What a runner tells of itself. */
export function runnerVitals(runner: Runner, driver: Pick<Driver, "availability">, metrics: Metrics): Vitals {
  processMetrics(metrics);
  return { metrics: () => metrics.collect(), readiness: () => runnerReadiness(runner, driver) };
}

/** What gateways are told, too: nobody asks twice whether containers can be started. */
function runnerReadiness(runner: Runner, { availability }: Pick<Driver, "availability">): Readiness {
  if (runner.status().draining) return { ready: false, detail: "draining" };
  const trouble = availability?.trouble;
  return { ready: trouble === undefined, detail: trouble?.message ?? "takes calls" };
}
