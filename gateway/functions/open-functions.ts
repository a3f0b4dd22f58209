import { readFile } from "node:fs/promises";

import { systemClock } from "../../core/clock.ts";
import type { Settings } from "../../core/config.ts";
import type { Log } from "../../core/log.ts";
import type { GATEWAY_SETTINGS } from "../settings.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { storeTriggers } from "../triggers/store-triggers.ts";
import { applyDeclared } from "./apply-declared.ts";
import { functionsFile } from "./functions-file.ts";
import type { FunctionLookup, TriggerLookup } from "./functions.ts";
import { storeFunctions } from "./store-functions.ts";

/** Where a gateway's functions come from. */
export interface Functions extends AsyncDisposable {
  readonly lookup: FunctionLookup;
  readonly triggers: TriggerLookup | undefined;
  /** Undefined where a file or another server's API is all there is. */
  readonly store: Store | undefined;
}

type GatewaySettings = Settings<typeof GATEWAY_SETTINGS>;

const DEFAULT_DATABASE = "sqlite3:data/fn.db";

/** Of one answer of another server's API, bytes: a page of a hundred triggers with all that may be said of them. */
const LARGEST_ANSWER = 16_777_216;

/**
 * From a database, from a file, from a file that is put into a database, or from another server's API.
 * @throws Error naming the file, the database or the setting that is at fault
 */
export async function openFunctions(settings: GatewaySettings, log: Log): Promise<Functions> {
  const { FN_FUNCTIONS_FILE: path, FN_DB_URL: url, FN_RUNNER_API_URL: api } = settings;
  if (api !== "") {
    if (path !== "" || url !== "") {
      const other = url === "" ? "FN_FUNCTIONS_FILE" : "FN_DB_URL";
      throw new Error(`FN_RUNNER_API_URL and ${other} are both set: functions come from one of them, unset the other`);
    }
    return openApi(settings, log);
  }
  if (path !== "" && url === "") {
    const file = await functionsFile(path, { log });
    return {
      lookup: file,
      triggers: undefined,
      store: undefined,
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    };
  }
  await using made = new AsyncDisposableStack();
  const limits = { maxConnections: settings.FN_DB_MAX_CONNECTIONS, timeoutMs: settings.FN_DB_TIMEOUT_MSECS };
  const store = made.use(await openStore(url || DEFAULT_DATABASE, { clock: systemClock, log, ...limits }));
  const remembering = { log, maxEntries: settings.FN_LOOKUP_CACHE_SIZE };
  const lookup = made.use(storeFunctions(store, remembering));
  const triggers = made.use(storeTriggers(store, remembering));
  if (path !== "") {
    const file = made.use(await functionsFile(path, { log, applied: (declared) => applyDeclared(store, declared) }));
    await applyDeclared(store, file.list());
  }
  const owned = made.move();
  return { lookup, triggers, store, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function openApi(settings: GatewaySettings, log: Log): Promise<Functions> {
  // Its HTTP client is of no use to other gateways.
  const [{ apiClient }, { apiFunctions }] = await Promise.all([
    import("../api-client/api-client.ts"),
    import("./api-functions.ts"),
  ]);
  const client = apiClient({
    url: settings.FN_RUNNER_API_URL,
    token: settings.FN_RUNNER_API_TOKEN,
    ca: await authorities(settings.FN_RUNNER_API_CA),
    timeoutMs: settings.FN_RUNNER_API_TIMEOUT_MSECS,
    connections: settings.FN_RUNNER_API_CONNECTIONS,
    maxAnswerBytes: LARGEST_ANSWER,
  });
  const lookup = apiFunctions({
    client,
    limits: {
      maxEntries: settings.FN_LOOKUP_CACHE_SIZE,
      freshMs: settings.FN_RUNNER_API_TTL_MSECS,
      noneMs: settings.FN_RUNNER_API_NEGATIVE_TTL_MSECS,
      staleMs: settings.FN_RUNNER_API_STALE_MSECS,
    },
    retries: settings.FN_RUNNER_API_RETRIES,
    clock: systemClock,
    log,
  });
  return { lookup, triggers: lookup, store: undefined, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

async function authorities(path: string): Promise<string | undefined> {
  if (path === "") return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`FN_RUNNER_API_CA is "${path}", expected a readable PEM file`, { cause });
  }
}
