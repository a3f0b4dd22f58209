import { CallError } from "../../core/call-error.ts";
import type { JsonValue } from "../../core/call.ts";
import { DEFAULTS, type AppSpec, type FunctionSpec } from "../../core/function-spec.ts";
import type { Store, StoredApp } from "../store/store.ts";
import { settingsOf } from "./function-settings.ts";
import type { FoundFunction } from "./functions.ts";
import { annotationOf } from "./setting-annotations.ts";

/**
 * Puts functions that a file declares into a store: what is there is made as declared, what is not is created, and what
 * is declared no longer stays until somebody deletes it.
 * @throws Error naming the function that cannot be put there
 */
export async function applyDeclared(store: Store, declared: readonly FoundFunction[]): Promise<void> {
  const apps = new Map<AppSpec, StoredApp>();
  for (const { app, fn } of declared) {
    try {
      let owner = apps.get(app);
      if (owner === undefined) apps.set(app, (owner = await applyApp(store, app)));
      await applyFn(store, owner, fn);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot put ${app.name}/${fn.name} into the database: ${reason}`, { cause });
    }
  }
}

async function applyApp(store: Store, app: AppSpec): Promise<StoredApp> {
  const [sameName] = await store.apps.list({ name: app.name }, { limit: 1 });
  const there = sameName ?? (await store.apps.get(app.id));
  // Its id stays: functions may be in it already.
  if (there !== undefined) return store.apps.update(there.id, (current) => ({ ...current, ...app, id: current.id }));
  return store.apps.insert({ ...app, shape: "" });
}

async function applyFn(store: Store, owner: StoredApp, declared: FunctionSpec): Promise<void> {
  const fn = { ...declared, appId: owner.id, annotations: withSettings(declared) };
  const there = await store.fns.get(fn.id);
  if (there === undefined) return void (await store.fns.insert({ ...fn, shape: owner.shape }));
  if (there.appId !== owner.id) {
    throw new CallError("already_exists", `the id "${fn.id}" is that of a function of another app`);
  }
  await store.fns.update(fn.id, (current) => ({ ...current, ...fn }));
}

/** In a store, annotations alone say what a function's settings are. */
function withSettings(fn: FunctionSpec): Readonly<Record<string, JsonValue>> {
  const usual = settingsOf(DEFAULTS);
  const unusual = Object.entries(settingsOf(fn)).filter(([name, value]) => value !== usual[name]);
  return { ...fn.annotations, ...Object.fromEntries(unusual.map(([name, value]) => [annotationOf(name), value])) };
}
