import { z } from "zod";

import type { ApiClient } from "../../gateway/api-client/api-client.ts";
import { ApiFailure } from "../../gateway/api-client/api-failure.ts";
import { allPages } from "../../gateway/api-client/api-pages.ts";
import { isComputedAnnotation } from "../../gateway/functions/computed-annotations.ts";

export const KINDS = ["app", "fn", "trigger"] as const;
export type Kind = (typeof KINDS)[number];

/** An app, function or trigger with what an import brings over of it. */
export interface Item {
  readonly kind: Kind;
  readonly id: string;
  readonly name: string;
  /** Its own, for an app. */
  readonly appId: string;
  /** For people: `app/fn`. */
  readonly label: string;
  /** As a body to create it has them. */
  readonly fields: Readonly<Record<string, unknown>>;
}

const map = z
  .record(z.string(), z.json())
  .nullish()
  .transform((value) => value ?? {});
const annotations = map.transform((all) =>
  Object.fromEntries(Object.entries(all).filter(([key]) => !isComputedAnnotation(key))),
);
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");

/** What is written of each kind. Settings beyond Fn's are annotations, and whoever has them shows them so. */
const FIELDS = {
  app: z.object({ name: z.string(), config: map, annotations, syslog_url: text, shape: text }),
  fn: z.object({
    app_id: z.string(),
    name: z.string(),
    image: z.string(),
    memory: z.number().optional(),
    timeout: z.number().optional(),
    idle_timeout: z.number().optional(),
    config: map,
    annotations,
  }),
  trigger: z.object({
    app_id: z.string(),
    fn_id: z.string(),
    name: z.string(),
    type: z.string(),
    source: z.string(),
    annotations,
  }),
} as const;

const identity = z.object({ id: z.string().min(1), name: z.string() });

/** All apps, functions and triggers of a server, each after what it needs. @throws ApiFailure */
export async function inventory(client: ApiClient): Promise<readonly Item[]> {
  const list = (kind: Kind, query: Readonly<Record<string, string>>) =>
    allPages((path) => client.request({ path }), `${kind}s`, query);
  const apps = (await list("app", {})).map((body) => read(client, "app", body));
  const fns: Item[] = [];
  const triggers: Item[] = [];
  for (const app of apps) {
    for (const body of await list("fn", { app_id: app.id })) fns.push(read(client, "fn", body, app));
  }
  for (const fn of fns) {
    // Of each function alone: Fn pages triggers by name, and leaves some out where functions have the same ones.
    const bodies = await list("trigger", { app_id: fn.appId, fn_id: fn.id });
    triggers.push(...bodies.map((body) => read(client, "trigger", body, fn)));
  }
  return [...apps, ...fns, ...triggers];
}

function read(client: ApiClient, kind: Kind, body: unknown, owner?: Item): Item {
  const named = identity.safeParse(body);
  const fields = FIELDS[kind].safeParse(body);
  if (!named.success || !fields.success) {
    const what = named.success ? `${kind} "${named.data.name}" (${named.data.id})` : `a ${kind} without id or name`;
    throw new ApiFailure("broken", `The API at ${client.url} shows ${what} that is not as Fn's API has it`, {
      cause: fields.error,
      retryable: false,
    });
  }
  const { id, name } = named.data;
  return {
    kind,
    id,
    name,
    appId: owner?.appId ?? id,
    label: owner === undefined ? name : `${owner.label}/${name}`,
    fields: fields.data,
  };
}
