import { connect } from "node:net";

import { systemClock } from "../../core/clock.ts";
import { createLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { createAdmin } from "../../gateway/admin.ts";
import { storeFunctions } from "../../gateway/functions/store-functions.ts";
import { createGateway } from "../../gateway/gateway.ts";
import { listen } from "../../gateway/listen.ts";
import { storeTriggers } from "../../gateway/triggers/store-triggers.ts";
import { forwardedUrl, trustedProxies } from "../../gateway/trusted-proxies.ts";
import { FakePlacer, FakePool } from "../testing/fake-pool.ts";
import { answers, FakeRunner } from "../testing/fake-runner.ts";
import { newApp, newFn, newTrigger, type DatabaseForTests } from "../testing/store-for-tests.ts";
import { fuzzRequest } from "./fuzz-requests.ts";

export interface FuzzOptions {
  readonly from: number;
  readonly requests: number;
  /** Told after every thousand. */
  readonly progress?: (done: number) => void;
}

export interface FuzzReport {
  /** How many answers there were of each status. */
  readonly statuses: ReadonlyMap<number, number>;
  /** What must not happen, with the seeds that made it happen. */
  readonly faults: readonly string[];
}

const ANSWER_MS = 10_000;
/** For bodies that promise more than comes. */
const BODY_MS = 300;
const MOST_FAULTS = 20;
/** Requests that are answered at the same time. */
const LANES = 8;

/** Sends requests, a seed each, to a gateway with all its routes, over sockets. */
export async function fuzzGateway(database: DatabaseForTests, options: FuzzOptions): Promise<FuzzReport> {
  const faults: string[] = [];
  const log = createLog({
    level: "error",
    format: "json",
    write: (line) => {
      if (faults.length < MOST_FAULTS) faults.push(`logged: ${line.trim().slice(0, 1_000)}`);
    },
  });
  await using store = await database.open(log);
  using functions = storeFunctions(store, { maxEntries: 100, log });
  using triggers = storeTriggers(store, { maxEntries: 100, log });
  const metrics = createMetrics();
  const proxies = trustedProxies(["127.0.0.1"]);
  const admin = createAdmin({
    store,
    endpointBase: (c) => proxies.origin(c),
    limits: { maxBytes: 1_048_576, timeoutMs: BODY_MS },
    token: "",
    proxies,
    metrics,
    ready: () => ({ ready: true, detail: "fuzz" }),
    retryAfterSeconds: 1,
    version: "fuzz",
    log,
  });
  const gateway = createGateway({
    functions,
    triggers,
    urlOf: (c) => forwardedUrl(proxies, c),
    placer: new FakePlacer(),
    pool: new FakePool(new FakeRunner("runner:1", answers("ok"))),
    otherwise: admin,
    limits: { bodyReadTimeoutMs: BODY_MS },
    instruments: { clock: systemClock, log, metrics },
  });
  await using listener = await listen(gateway, { host: "127.0.0.1", port: 0, drainTimeoutMs: 1_000, log });

  const statuses = new Map<number, number>();
  let next = options.from;
  const end = options.from + options.requests;
  const lane = async () => {
    while (next < end && faults.length < MOST_FAULTS) {
      const seed = next++;
      const status = await answered(listener.port, fuzzRequest(seed, await targets()));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status >= 500 || status === 0) faults.push(`seed ${seed} was answered with ${status || "nothing"}`);
      if ((seed - options.from + 1) % 1_000 === 0) options.progress?.(seed - options.from + 1);
    }
  };
  // Made again whenever a request has deleted it.
  const targets = async () => {
    const [app] = await store.apps.list({ name: "target" }, { limit: 1 });
    const owner = app ?? (await store.apps.insert(newApp("target")).catch(() => undefined));
    const [fn] = await store.fns.list({ appId: owner?.id ?? "", name: "target" }, { limit: 1 });
    const made = fn ?? (await store.fns.insert(newFn(owner?.id ?? "", "target")).catch(() => undefined));
    const [trigger] = await store.triggers.list({ appId: owner?.id ?? "", name: "target" }, { limit: 1 });
    if (trigger === undefined && made !== undefined)
      await store.triggers.insert(newTrigger(made, "target")).catch(() => {});
    return { appId: owner?.id ?? "none", fnId: made?.id ?? "none", triggerId: trigger?.id ?? "none" };
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return { statuses, faults };
}

/** The status of the answer; 0 where there was none before the connection ended or the time was over. */
function answered(port: number, request: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let head = "";
    const done = () => {
      socket.destroy();
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0));
    };
    socket.setTimeout(ANSWER_MS, done);
    socket.on("data", (bytes: Buffer) => {
      head += head.length < 1_024 ? bytes.toString("latin1") : "";
      // A length that was promised and not sent leaves the rest to be waited for.
      if (/\r\n\r\n/.test(head)) done();
    });
    socket.on("error", done);
    socket.on("close", done);
    socket.write(request);
  });
}
