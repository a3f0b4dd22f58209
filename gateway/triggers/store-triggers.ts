import type { TriggerLookup } from "../functions/functions.ts";
import { remembered, type RememberOptions } from "../functions/remembered.ts";
import type { Store, StoredApp, StoredTrigger } from "../store/store.ts";

const PAGE = 1_000;

/** Triggers of a store, remembered until they change. */
export function storeTriggers(store: Store, options: RememberOptions): TriggerLookup & Disposable {
  const names = remembered<StoredApp>(store, options, {
    read: async (name) => (await store.apps.list({ name }, { limit: 1 }))[0],
    // An app that was not there may be there now.
    concerns: (change, _name, found) =>
      change.kind === "all" || (change.kind === "app" && (found === undefined || change.id === found.id)),
    weight: () => 1,
  });
  const triggers = remembered<readonly StoredTrigger[]>(store, options, {
    read: (appId) => allOf(store, appId),
    // A function that is gone took its triggers along.
    concerns: (change, appId) => change.kind === "all" || change.appId === appId,
    weight: (found) => 1 + found.length,
  });
  return {
    appByName: (name) => names.find(name),
    triggersOf: async (appId) => (await triggers.find(appId)) ?? [],
    [Symbol.dispose]() {
      names[Symbol.dispose]();
      triggers[Symbol.dispose]();
    },
  };
}

async function allOf(store: Store, appId: string): Promise<readonly StoredTrigger[]> {
  const all: StoredTrigger[] = [];
  for (let page: readonly StoredTrigger[] | undefined; page === undefined || page.length === PAGE;) {
    page = await store.triggers.list({ appId }, { after: all.at(-1), limit: PAGE });
    all.push(...page);
  }
  return all;
}
