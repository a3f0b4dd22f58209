import { systemClock } from "../../core/clock.ts";
import type { Settings } from "../../core/config.ts";
import type { Log } from "../../core/log.ts";
import type { GATEWAY_SETTINGS } from "../settings.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { applyDeclared } from "./apply-declared.ts";
import { functionsFile } from "./functions-file.ts";
import type { FunctionLookup } from "./functions.ts";
import { storeFunctions } from "./store-functions.ts";

/** Where a gateway's functions come from. */
export interface Functions extends AsyncDisposable {
  readonly lookup: FunctionLookup;
  /** Undefined where a file is all there is. */
  readonly store: Store | undefined;
}

const DEFAULT_DATABASE = "sqlite3:data/fn.db";

/**
 * From a database, from a file, or from a file that is put into a database.
 * @throws Error naming the file or the database that is at fault
 */
export async function openFunctions(settings: Settings<typeof GATEWAY_SETTINGS>, log: Log): Promise<Functions> {
  const { FN_FUNCTIONS_FILE: path, FN_DB_URL: url, FN_LOOKUP_CACHE_SIZE: maxEntries } = settings;
  if (path !== "" && url === "") {
    const file = await functionsFile(path, { log });
    return { lookup: file, store: undefined, [Symbol.asyncDispose]: () => file[Symbol.asyncDispose]() };
  }
  await using made = new AsyncDisposableStack();
  const maxConnections = settings.FN_DB_MAX_CONNECTIONS;
  const store = made.use(await openStore(url || DEFAULT_DATABASE, { clock: systemClock, log, maxConnections }));
  const lookup = made.use(storeFunctions(store, { log, maxEntries }));
  if (path !== "") {
    const file = made.use(await functionsFile(path, { log, applied: (declared) => applyDeclared(store, declared) }));
    await applyDeclared(store, file.list());
  }
  const owned = made.move();
  return { lookup, store, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
