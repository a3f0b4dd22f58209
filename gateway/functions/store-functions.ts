import type { Store, StoreChange } from "../store/store.ts";
import type { FoundFunction, FunctionLookup } from "./functions.ts";
import { remembered, type RememberOptions } from "./remembered.ts";

/** Functions of a store, remembered until they change. */
export function storeFunctions(store: Store, options: RememberOptions): FunctionLookup & Disposable {
  return remembered(store, options, { read: (fnId) => read(store, fnId), concerns, weight: () => 1 });
}

async function read(store: Store, fnId: string): Promise<FoundFunction | undefined> {
  const fn = await store.fns.get(fnId);
  const app = fn && (await store.apps.get(fn.appId));
  return fn && app && { app, fn };
}

function concerns(change: StoreChange, fnId: string, found: FoundFunction | undefined): boolean {
  if (change.kind === "all") return true;
  if (change.kind === "fn") return change.id === fnId;
  return change.kind === "app" && change.id === found?.app.id;
}
