import type { Context, Hono } from "hono";
import type { z } from "zod";

import { CallError } from "../../core/call-error.ts";
import { ENTITY_ID } from "../functions/fields.ts";
import type { GatewayEnv } from "../overrider.ts";
import { JSON_TYPE, only } from "../routes.ts";
import type { Collection, New, Stored } from "../store/store.ts";
import { checkIfMatch, etagOf, isKnown } from "./etag.ts";
import { pageSize, readCursor, writeCursor } from "./paging.ts";
import { type Body, type BodyLimits, readBody } from "./read-body.ts";
import { refuseInvalid } from "./refuse-invalid.ts";

/** How one kind of entity is described, and where it is served. */
export interface ResourceSchemas {
  /** In the singular, for people. */
  readonly noun: "app" | "fn" | "trigger";
  /** `/v2/apps` */
  readonly path: string;
  /** The name of its id in the path: `app_id`. */
  readonly idName: string;
  readonly schemas: {
    readonly entity: z.ZodType;
    readonly create: z.ZodType;
    readonly update: z.ZodType;
    readonly query: z.ZodObject;
  };
}

type Entity = Stored & { readonly id: string; readonly name: string };

/** A valid request to change an entity. */
export interface ChangeRequest<Update> {
  /** As the schema read it. */
  readonly change: Update;
  /** As it came. */
  readonly raw: Body;
  /** A PATCH: what cannot be changed is refused, where Fn's PUT passes over it. */
  readonly strict: boolean;
}

/** What the API does with one kind of entity. Everything may throw CallError. */
export interface Resource<T extends Entity, Filter, Create, Update> extends ResourceSchemas {
  readonly schemas: ResourceSchemas["schemas"] & {
    readonly create: z.ZodType<Create>;
    readonly update: z.ZodType<Update>;
  };
  readonly collection: Collection<T, Filter>;
  /** Where names can come twice in a list, its cursors need the id too. */
  readonly uniqueNames: boolean;
  filter(query: Readonly<Record<string, string | undefined>>): Filter;
  made(body: Create, raw: Body): New<T> | Promise<New<T>>;
  changed(current: T, request: ChangeRequest<Update>): T;
  /** As clients see them, in the same order. */
  shown(entities: readonly T[], c: Context<GatewayEnv>): Promise<readonly object[]>;
}

/** Serves list, create, read, change and delete of one kind of entity. */
export function serveResource<T extends Entity, Filter, Create, Update>(
  api: Hono<GatewayEnv>,
  resource: Resource<T, Filter, Create, Update>,
  limits: BodyLimits,
): void {
  const { noun, path, idName, schemas, collection } = resource;
  const onePath = `${path}/:${idName}`;
  const idOf = (c: Context<GatewayEnv>) => c.req.param(idName) ?? "";
  const answer = async (c: Context<GatewayEnv>, one: T) => {
    const [shown] = await resource.shown([one], c);
    return c.body(JSON.stringify(shown), 200, { ...JSON_TYPE, etag: etagOf(one) });
  };

  api.get(path, async (c) => c.body(JSON.stringify(await listed(c, resource)), 200, JSON_TYPE));
  api.post(path, async (c) => {
    const raw = await readBody(c.req.raw, limits);
    if (raw["id"] !== undefined) throw new CallError("id_provided");
    return answer(c, await collection.insert(await resource.made(valid(schemas.create, raw), raw)));
  });
  only(api, path, "GET, HEAD, POST");

  api.get(onePath, async (c) => {
    const one = await collection.get(idOf(c));
    if (one === undefined) throw new CallError(`${noun}_not_found`);
    return isKnown(c, one) ? c.body(null, 304, { etag: etagOf(one) }) : answer(c, one);
  });
  api.on(["PUT", "PATCH"], onePath, async (c) => {
    const raw = await readBody(c.req.raw, limits);
    if (raw["id"] !== undefined && raw["id"] !== idOf(c)) throw new CallError("id_mismatch");
    if (c.req.method === "PUT" && c.req.header("if-none-match") === "*") {
      return answer(c, await createdAs(idOf(c), resource, raw));
    }
    const request = { change: valid(schemas.update, raw), raw, strict: c.req.method === "PATCH" };
    const next = await collection.update(idOf(c), (current) => {
      checkIfMatch(c, current);
      return resource.changed(current, request);
    });
    return answer(c, next);
  });
  api.delete(onePath, async (c) => {
    await collection.delete(idOf(c), (current) => checkIfMatch(c, current));
    return c.body(null, 204);
  });
  only(api, onePath, "GET, HEAD, PUT, PATCH, DELETE");
}

/**
 * Creates what has its id already, on another server. Fn's POST refuses ids and its PUT creates nothing, so that none of
 * its clients comes here: HTTP's own condition that there be nothing yet asks for it.
 */
async function createdAs<T extends Entity, Filter, Create, Update>(
  id: string,
  { schemas, collection, made }: Resource<T, Filter, Create, Update>,
  raw: Body,
): Promise<T> {
  if (!ENTITY_ID.test(id)) {
    throw new CallError("invalid_field", "Invalid field: id, expected 1 to 128 letters, digits, _, . or -");
  }
  if ((await collection.get(id)) !== undefined) {
    throw new CallError("precondition_failed", "There is one of this id: If-None-Match asks for none");
  }
  return collection.insert({ ...(await made(valid(schemas.create, raw), raw)), id });
}

async function listed<T extends Entity, Filter, Create, Update>(
  c: Context<GatewayEnv>,
  resource: Resource<T, Filter, Create, Update>,
): Promise<object> {
  const query = c.req.query();
  const limit = pageSize(query["per_page"]);
  const after = readCursor(query["cursor"]);
  // One more tells whether there is another page.
  const found = await resource.collection.list(resource.filter(query), { after, limit: limit + 1 });
  const page = found.slice(0, limit);
  const items = await resource.shown(page, c);
  const last = page.at(-1);
  if (found.length <= limit || last === undefined) return { items };
  return { items, next_cursor: writeCursor(resource.uniqueNames ? { name: last.name } : last) };
}

function valid<T>(schema: z.ZodType<T>, raw: Body): T {
  const read = schema.safeParse(raw);
  return read.success ? read.data : refuseInvalid(read.error, raw);
}

/** @throws CallError `name_immutable` for a strict change of what stays as it is */
export function refuseChange({ raw, strict }: ChangeRequest<unknown>, fixed: Readonly<Record<string, unknown>>): void {
  if (!strict) return;
  for (const [field, value] of Object.entries(fixed)) {
    if (raw[field] !== undefined && raw[field] !== value) {
      throw new CallError("name_immutable", `Could not update - ${field} is immutable`);
    }
  }
}
