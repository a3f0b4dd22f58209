import { hostname } from "node:os";

import { adminAddress, refuseTaken } from "../core/bind.ts";
import type { Settings } from "../core/config.ts";
import { portOf, type WorkerPlace } from "../core/workers/worker-place.ts";
import type { GATEWAY_SETTINGS } from "./settings.ts";

type GatewaySettings = Settings<typeof GATEWAY_SETTINGS>;

/**
 * Makes several processes of one gateway: they share its ports, and differ in nothing but their names.
 * @throws Error where another process listens already, were it another gateway with workers, which shares its port too
 */
export async function shareGateway(
  settings: GatewaySettings,
): Promise<(place: WorkerPlace) => Partial<GatewaySettings>> {
  const { FN_BIND: host, FN_PORT: port, FN_ADMIN_PORT: adminPort } = settings;
  await refuseTaken({ host, port });
  if (adminPort !== undefined) await refuseTaken(adminAddress(settings, adminPort));
  return ({ number, first }) => ({
    FN_GATEWAY_ID: `${settings.FN_GATEWAY_ID || hostname()}-${number}`,
    FN_PORT: portOf(first?.address) ?? port,
    FN_ADMIN_PORT: portOf(first?.admin) ?? adminPort,
  });
}
