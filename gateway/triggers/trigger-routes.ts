import { METHOD_NAME_ALL } from "hono/router";
import { TrieRouter } from "hono/router/trie-router";

import { CallError } from "../../core/call-error.ts";
import type { Log } from "../../core/log.ts";
import type { Trigger } from "../store/store.ts";
import { readTriggerSettings, type TriggerSettings } from "./trigger-settings.ts";

export interface Route {
  readonly trigger: Trigger;
  readonly settings: TriggerSettings;
}

export interface RouteMatch extends Route {
  readonly params: Readonly<Record<string, string>>;
}

/** What is asked of an app's triggers. */
export interface RouteRequest {
  readonly method: string;
  /** In lower case, without a port. */
  readonly host: string;
  /** The path behind the app's name, still encoded, with its first slash. */
  readonly path: string;
}

/** The path and host are right, and the method is not. */
export class MethodRefused extends CallError {
  readonly allow: string;

  constructor(method: string, allow: string) {
    super("method_not_allowed", `Method not allowed: the trigger takes ${allow}, and not ${method}`);
    this.allow = allow;
  }
}

/** An app's triggers, by what requests ask for. */
export class TriggerRoutes {
  readonly #exact = new Map<string, Route>();
  readonly #patterns = new TrieRouter<Route>();

  constructor(triggers: readonly Trigger[], log: Log) {
    const patterns: (Route & { readonly path: string })[] = [];
    for (const trigger of triggers) {
      if (trigger.type !== "http") continue;
      const { settings, faults } = readTriggerSettings(trigger.annotations);
      const [fault] = faults;
      if (fault !== undefined) {
        // Another version of Kiln let it in: what its settings forbid is not known here, so all of it is.
        log.error("Trigger is not served, its settings are not understood", { trigger_id: trigger.id, ...fault });
      } else if (settings.path === undefined) this.#exact.set(trigger.source, { trigger, settings });
      else patterns.push({ trigger, settings, path: settings.path });
    }
    patterns.sort((one, other) => compare(rankOf(one.path), rankOf(other.path)));
    for (const { path, ...route } of patterns) this.#patterns.add(METHOD_NAME_ALL, path, route);
  }

  /** The trigger of exactly this source, or else the one with the most literal of the paths that match. @throws CallError */
  match({ method, host, path }: RouteRequest): RouteMatch {
    const found = this.#byPath(path).filter(
      ({ settings: { hosts } }) => hosts?.some((one) => covers(one, host)) ?? true,
    );
    if (found.length === 0) throw new CallError("trigger_not_found");
    const match = found.find(({ settings }) => takes(settings, method));
    if (match === undefined) throw new MethodRefused(method, allowed(found));
    return match;
  }

  #byPath(path: string): readonly RouteMatch[] {
    const segments = decoded(path);
    if (segments === undefined) return [];
    const exact = this.#exact.get(segments.join("/"));
    const first = exact === undefined ? [] : [{ ...exact, params: {} }];
    // A slash that came encoded is part of its segment.
    const [matched] = this.#patterns.match(METHOD_NAME_ALL, segments.map((one) => one.replaceAll("/", "\0")).join("/"));
    return first.concat(
      // Hono's types allow a form that this router does not give.
      matched.map(([route, params]) => ({ ...route, params: paramsOf(params as Readonly<Record<string, string>>) })),
    );
  }
}

/** Undefined where a segment is no text; a NUL is in no source. */
function decoded(path: string): readonly string[] | undefined {
  try {
    const segments = path.split("/").map(decodeURIComponent);
    return segments.some((segment) => segment.includes("\0")) ? undefined : segments;
  } catch {
    return undefined;
  }
}

function paramsOf(params: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value.replaceAll("\0", "/")]],
    ),
  );
}

/** HEAD goes where GET does, unless a trigger names the one without the other. */
function takes({ methods }: TriggerSettings, method: string): boolean {
  return methods === undefined || methods.includes(method) || (method === "HEAD" && methods.includes("GET"));
}

function allowed(found: readonly Route[]): string {
  const methods = new Set(found.flatMap(({ settings }) => settings.methods ?? []));
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods].join(", ");
}

function covers(pattern: string, host: string): boolean {
  return pattern.startsWith("*.") ? host.endsWith(pattern.slice(1)) : host === pattern;
}

/** Literal text goes before parameters and those before the rest of a path, segment by segment. */
function rankOf(path: string): string {
  return path
    .split("/")
    .map((segment) => (segment === "*" ? "3" : !segment.startsWith(":") ? "0" : segment.endsWith("?") ? "2" : "1"))
    .join("");
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
