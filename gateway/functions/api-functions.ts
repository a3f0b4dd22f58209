import { isDeepStrictEqual } from "node:util";

import { CallError } from "../../core/call-error.ts";
import { pause, type Clock } from "../../core/clock.ts";
import type { AppSpec, FunctionSpec } from "../../core/function-spec.ts";
import type { Log } from "../../core/log.ts";
import type { ApiAnswer, ApiClient, ApiRequest } from "../api-client/api-client.ts";
import { readApp, readFn, readTrigger } from "../api-client/api-entities.ts";
import { ApiFailure } from "../api-client/api-failure.ts";
import { allPages } from "../api-client/api-pages.ts";
import type { Trigger } from "../store/store.ts";
import { ApiCache, type CacheLimits } from "./api-cache.ts";
import { ApiOutage } from "./api-outage.ts";
import { ENTITY_ID } from "./fields.ts";
import type { FoundFunction, FunctionLookup, TriggerLookup } from "./functions.ts";

export interface ApiFunctionsOptions {
  readonly client: ApiClient;
  readonly limits: CacheLimits;
  /** Further tries of a request that failed on the server's side, for what is not known. */
  readonly retries: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** An entity with the version that it was read as, where the server tells. */
interface Versioned<T> {
  readonly value: T;
  readonly etag: string | undefined;
}

/** Fn's: each further wait is about twice as long. */
const RETRY_SLOT_MS = 50;
const RETRY_LEAST_MS = 25;
const RETRY_MOST_MS = 2_000;

/** Functions and triggers of another server's API: neither a database nor a disk is needed. */
export function apiFunctions(options: ApiFunctionsOptions): FunctionLookup & TriggerLookup {
  const { client, limits, retries, clock, log } = options;
  const outage = new ApiOutage(clock, limits.noneMs);

  const tellOutage = (error: ApiFailure) => {
    if (error.reach === "broken") outage.answered();
    else if (outage.failed()) {
      log.warn("The API is away, functions that are known are served as they were", { error });
    }
  };
  const ask = async (request: ApiRequest, once: boolean): Promise<ApiAnswer> => {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await client.request(request);
        if (outage.answered()) log.info("The API answers again", { api: client.url });
        return answer;
      } catch (error) {
        if (!(error instanceof ApiFailure)) throw error;
        if (once || attempt >= retries || !error.retryable) {
          tellOutage(error);
          throw error;
        }
        await pause(clock, retryDelay(attempt));
      }
    }
  };

  const entities = <T extends object>(list: string, read: (body: unknown) => T) =>
    new ApiCache<Versioned<T>>({
      clock,
      limits,
      outage,
      async load(id, known, once) {
        const headers: Readonly<Record<string, string>> =
          known?.etag === undefined ? {} : { "if-none-match": known.etag };
        const { status, body, etag } = await ask({ path: `${list}/${encodeURIComponent(id)}`, headers }, once);
        if (status === 304 && known !== undefined) return known;
        if (status === 404) return undefined;
        const value = understood(client.url, `${list}/${id}`, () => read(body));
        // The same object while nothing changed: much is derived from it and kept.
        return { value: isDeepStrictEqual(known?.value, value) && known !== undefined ? known.value : value, etag };
      },
    });

  const fns = entities("fns", readFn);
  const apps = entities("apps", (body): AppSpec => readApp(body));
  const names = new ApiCache<AppSpec>({
    clock,
    limits,
    outage,
    async load(name, known, once) {
      const items = await allPages((path) => ask({ path }, once), "apps", { name });
      const found = understood(client.url, `apps?name=${name}`, () => items.map(readApp)).find(
        (app) => app.name === name,
      );
      return isDeepStrictEqual(known, found) ? known : found;
    },
  });
  const triggers = new ApiCache<readonly Trigger[]>({
    clock,
    limits,
    outage,
    async load(appId, known, once) {
      const items = await allPages((path) => ask({ path }, once), "triggers", { app_id: appId });
      const found = understood(client.url, `triggers of ${appId}`, () => items.map(readTrigger));
      return isDeepStrictEqual(known, found) ? known : found;
    },
  });

  const found = new WeakMap<FunctionSpec, FoundFunction>();
  return {
    async find(fnId, signal) {
      // What nothing is called is asked of nobody; in a path it might mean another one.
      if (!ENTITY_ID.test(fnId)) return undefined;
      const fn = (await fns.get(fnId, signal))?.value;
      if (fn === undefined) return undefined;
      const app = (await apps.get(fn.appId, signal))?.value;
      if (app === undefined) return undefined;
      const before = found.get(fn);
      if (before?.app === app) return before;
      const now = { app, fn };
      found.set(fn, now);
      return now;
    },
    appByName: (name, signal) => names.get(name, signal),
    triggersOf: async (appId, signal) => (await triggers.get(appId, signal)) ?? [],
  };
}

function retryDelay(attempt: number): number {
  const slots = Math.random() * 2 ** (attempt + 1);
  return Math.min(RETRY_MOST_MS, Math.max(RETRY_LEAST_MS, slots * RETRY_SLOT_MS));
}

/** @throws CallError `invalid_call`: the function is there, and cannot be run as it is */
function understood<T>(url: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof CallError ? cause.message : "it is not what Fn's API says";
    throw new CallError("invalid_call", `What the API knows cannot be used: ${reason}`, {
      cause: new Error(`${what} of ${url}`, { cause }),
    });
  }
}
