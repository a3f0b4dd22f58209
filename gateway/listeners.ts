import { adminAddress } from "../core/bind.ts";
import { systemClock } from "../core/clock.ts";
import type { Settings } from "../core/config.ts";
import type { Log } from "../core/log.ts";
import { isLoopback } from "../core/loopback.ts";
import type { Metrics } from "../core/metrics.ts";
import { processMetrics } from "../core/process-metrics.ts";
import { VERSION } from "../core/version.ts";
import type { MetricsText } from "../core/workers/vitals.ts";
import { createAdmin } from "./admin.ts";
import { createGateway, type GatewayOptions } from "./gateway.ts";
import { listen, type Listener } from "./listen.ts";
import type { ConnectionLimits } from "./protocols.ts";
import { runScheduled } from "./schedules/scheduled-calls.ts";
import { startScheduler } from "./schedules/scheduler.ts";
import { watchServerCertificate, type WatchedCertificate } from "./server-certificate.ts";
import type { GATEWAY_SETTINGS } from "./settings.ts";
import type { DueTrigger, Store } from "./store/store.ts";
import { triggerHosts } from "./triggers/host-paths.ts";
import { forwardedUrl, trustedProxies } from "./trusted-proxies.ts";

export interface Served extends AsyncDisposable {
  readonly public: Listener;
  /** The administrators' own listener, where there is one. */
  readonly admin: Listener | undefined;
}

export interface ServeParts {
  readonly gateway: Omit<GatewayOptions, "otherwise" | "stopping" | "version">;
  readonly store: Store | undefined;
  /** Where this process counts. */
  readonly metrics: Metrics;
  /** What `/metrics` shows; by default the same. */
  readonly shownMetrics?: MetricsText;
  /** Other workers listen on the same ports. */
  readonly shared?: boolean;
  readonly log: Log;
}

type GatewaySettings = Settings<typeof GATEWAY_SETTINGS>;

/**
 * Serves clients on one port, and administrators on another, or on the same where only this machine reaches it.
 * @throws Error where anybody could administer, or an address cannot be bound
 */
export async function serveGateway(settings: GatewaySettings, parts: ServeParts): Promise<Served> {
  const { log, metrics, shownMetrics = metrics, shared: sharesPorts = false, store } = parts;
  const { FN_ADMIN_BIND: adminHost, FN_ADMIN_PORT: adminPort, FN_ADMIN_TOKEN: token } = settings;
  if (adminPort !== undefined && token === "" && !isLoopback(adminHost)) {
    throw new Error(
      `Cannot serve the API on ${adminHost} to everybody: set FN_ADMIN_TOKEN, or FN_ADMIN_BIND to 127.0.0.1`,
    );
  }
  const shared = adminPort === undefined && isLoopback(settings.FN_BIND);
  if (adminPort === undefined && !shared) {
    log.warn("The API and metrics are not served: FN_BIND is not of this machine alone, and FN_ADMIN_PORT is not set");
  }
  processMetrics(metrics);
  const proxies = trustedProxies(settings.FN_TRUSTED_PROXIES);
  let publicPort = settings.FN_PORT;
  const admin = createAdmin({
    store,
    endpointBase: (c) => {
      if (settings.FN_PUBLIC_LB_URL !== "") return settings.FN_PUBLIC_LB_URL.replace(/\/+$/, "");
      const origin = proxies.origin(c);
      return shared || proxies.isTrusted(c)
        ? origin
        : onPort(origin, settings.FN_TLS_CERT === "" ? "http:" : "https:", publicPort);
    },
    limits: { maxBytes: settings.FN_API_MAX_REQUEST_SIZE, timeoutMs: settings.FN_REQUEST_BODY_READ_TIMEOUT_MSECS },
    token,
    proxies,
    metrics: shownMetrics,
    ready: parts.gateway.ready ?? (() => ({ ready: true, detail: "no check" })),
    retryAfterSeconds: settings.FN_RETRY_AFTER_SECS,
    version: VERSION,
    log,
  });
  const stopping = new AbortController();
  const gateway = createGateway({
    ...parts.gateway,
    hosts: triggerHosts(settings.FN_TRIGGER_HOSTS),
    ...(settings.FN_TRUSTED_PROXIES.length === 0 ? {} : { urlOf: (c) => forwardedUrl(proxies, c) }),
    ...(shared ? { otherwise: admin } : {}),
    stopping: stopping.signal,
    version: VERSION,
  });

  await using bound = new AsyncDisposableStack();
  const certificate = await certificateOf(settings, log);
  if (certificate !== undefined) bound.use(certificate);
  const common = { limits: connectionLimits(settings), shared: sharesPorts, log };
  // Bound first, to be closed last: what is going on can be seen while calls end.
  const adminListener =
    adminPort === undefined
      ? undefined
      : bound.use(
          await listen(admin, {
            ...common,
            ...adminAddress(settings, adminPort),
            drainTimeoutMs: 0,
          }),
        );
  const listener = bound.use(
    await listen(gateway, {
      ...common,
      host: settings.FN_BIND,
      port: settings.FN_PORT,
      certificate,
      drainTimeoutMs: settings.FN_DRAIN_MSECS,
      lastCall: () => stopping.abort(),
    }),
  );
  publicPort = listener.port;
  if (store !== undefined) {
    const run = (trigger: DueTrigger) => runScheduled(gateway, trigger);
    bound.use(startScheduler({ schedules: store.schedules, run, clock: systemClock, log }));
  }
  const owned = bound.move();
  return { public: listener, admin: adminListener, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function onPort(origin: string, scheme: string, port: number): string {
  return new URL(`${scheme}//${new URL(origin).hostname}:${port}`).origin;
}

async function certificateOf(settings: GatewaySettings, log: Log): Promise<WatchedCertificate | undefined> {
  const { FN_TLS_CERT: cert, FN_TLS_KEY: key } = settings;
  if (cert === "" && key === "") return undefined;
  if (cert === "" || key === "") throw new Error("FN_TLS_CERT and FN_TLS_KEY go together, and one of them is not set");
  return watchServerCertificate({ cert, key }, { log, clock: systemClock });
}

function connectionLimits(settings: GatewaySettings): ConnectionLimits {
  return {
    maxHeaderBytes: settings.FN_MAX_REQUEST_HEADER_SIZE,
    headersTimeoutMs: settings.FN_REQUEST_HEADER_READ_TIMEOUT_MSECS,
    idleTimeoutMs: settings.FN_HTTP_IDLE_TIMEOUT_MSECS,
    maxConnections: settings.FN_MAX_CONNECTIONS,
    maxStreams: settings.FN_HTTP2_MAX_STREAMS,
  };
}
