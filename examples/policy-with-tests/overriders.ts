import { CallError, createMiddleware, overrideCall, withExtension, type GatewayEnv } from "kiln/gateway";

import { plan } from "./plans.ts";

const TENANTS: Readonly<Record<string, "free" | "gold">> = { "key-of-acme": "gold", "key-of-hobby": "free" };
const MOST_AT_ONCE = { free: 1, gold: 100 };

/** Who has no key is refused before anything is placed; what each may run at once is counted. */
function quota() {
  const running = new Map<string, number>();
  return createMiddleware<GatewayEnv>(async (c, next) => {
    const key = c.req.header("x-api-key") ?? "";
    const tenant = TENANTS[key];
    if (tenant === undefined) throw new CallError("refused_by_middleware", "Cannot run the function: unknown API key");
    const now = running.get(key) ?? 0;
    if (now >= MOST_AT_ONCE[tenant]) throw new CallError("too_many_requests", `Plan ${tenant} runs ${now} at once`);
    running.set(key, now + 1);
    try {
      await next();
    } finally {
      // Not awaited: an answer that is streamed ends only when its client has read it, which begins once we return.
      const over = c.get("outcome")?.finished ?? Promise.resolve();
      void over.then(() => running.set(key, (running.get(key) ?? 1) - 1));
    }
  });
}

/** Gold calls get twice the memory; the plan goes to the runner with the call, and keeps tenants' containers apart. */
const byPlan = overrideCall((call, c) => {
  const bought = TENANTS[c.req.header("x-api-key") ?? ""] ?? "free";
  const memoryMiB = bought === "gold" ? call.memoryMiB * 2 : call.memoryMiB;
  return withExtension({ ...call, memoryMiB }, plan, bought);
});

/** Made anew for each gateway, so that a test does not count another's calls. */
export const makeOverriders = () => [quota(), byPlan];

export const overriders = makeOverriders();
