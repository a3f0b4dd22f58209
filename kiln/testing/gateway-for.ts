import type { Hono } from "hono";

import { systemClock, type Clock } from "../../core/clock.ts";
import { createLog } from "../../core/log.ts";
import { createMetrics, type Metrics } from "../../core/metrics.ts";
import type { FoundFunction, FunctionLookup, TriggerLookup } from "../../gateway/functions/functions.ts";
import { createGateway, type Readiness } from "../../gateway/gateway.ts";
import type { InvokeLimits } from "../../gateway/invoke/limits.ts";
import type { GatewayEnv, Overrider } from "../../gateway/overrider.ts";
import type { Placer } from "../../gateway/runnerpool/runnerpool.ts";
import { FakeFunctions, functionFor } from "./fake-functions.ts";
import { FakePlacer, FakePool } from "./fake-pool.ts";
import { FakeRunner, type Behaviour } from "./fake-runner.ts";

export interface GatewayForOptions {
  readonly overriders?: readonly Overrider[];
  readonly limits?: Partial<InvokeLimits>;
  readonly found?: FoundFunction;
  /** In the place of `found`. */
  readonly functions?: FunctionLookup;
  readonly triggers?: TriggerLookup;
  readonly hosts?: ReadonlyMap<string, string>;
  readonly placer?: Placer;
  readonly clock?: Clock;
  readonly ready?: () => Readiness;
}

export interface GatewayUnderTest {
  readonly app: Hono<GatewayEnv>;
  readonly runner: FakeRunner;
  readonly metrics: Metrics;
  /** Its log, a line of JSON each. */
  readonly lines: readonly string[];
  /** Sends a request to the function `hello`, the only one there is unless told otherwise. */
  invoke(init?: RequestInit): Promise<Response>;
}

/** A gateway in front of one fake runner. */
export function gatewayFor(behaviour: Behaviour, options: GatewayForOptions = {}): GatewayUnderTest {
  const { found = functionFor("hello"), placer = new FakePlacer(), clock = systemClock, ...rest } = options;
  const runner = new FakeRunner("runner-1:9190", behaviour);
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "json", write: (line) => void lines.push(line) });
  const metrics = createMetrics();
  const app = createGateway({
    functions: new FakeFunctions(found),
    placer,
    pool: new FakePool(runner),
    instruments: { clock, log, metrics },
    version: "1.2.3",
    ...rest,
  });
  const invoke = async (init: RequestInit = {}) => app.request(`/invoke/${found.fn.id}`, { method: "POST", ...init });
  return { app, runner, metrics, lines, invoke };
}
