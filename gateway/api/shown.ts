import type { Stored } from "../store/store.ts";

/** In UTC, with milliseconds. */
export function shownStamps({ createdMs, updatedMs }: Stored): { created_at: string; updated_at: string } {
  return { created_at: new Date(createdMs).toISOString(), updated_at: new Date(updatedMs).toISOString() };
}

/** The maps that have something in them: Fn leaves out those that have not. */
export function unlessEmpty(maps: Readonly<Record<string, object>>): object {
  return Object.fromEntries(Object.entries(maps).filter(([, map]) => Object.keys(map).length > 0));
}
