import type { Hono } from "hono";

import { CallError } from "../../core/call-error.ts";
import type { GatewayEnv } from "../overrider.ts";
import { JSON_TYPE, only, page } from "../routes.ts";
import type { Store } from "../store/store.ts";
import { appsResource } from "./apps.ts";
import { docsPage } from "./docs-page.ts";
import type { EndpointBase } from "./endpoint-base.ts";
import { fnsResource } from "./fns.ts";
import { describeApi } from "./openapi.ts";
import type { BodyLimits } from "./read-body.ts";
import { serveResource } from "./resource.ts";
import { shownTrigger, triggersResource } from "./triggers.ts";

export interface ApiOptions {
  readonly store: Store;
  /** Where functions are reached, for the annotations that say so. */
  readonly endpointBase: EndpointBase;
  readonly limits: BodyLimits;
  readonly version: string;
}

/** Adds Fn's API of apps, functions and triggers, and its description, to a Hono app. */
export function serveApi(api: Hono<GatewayEnv>, { store, endpointBase, limits, version }: ApiOptions): void {
  const apps = appsResource(store);
  const fns = fnsResource(store, endpointBase);
  const triggers = triggersResource(store, endpointBase);
  serveResource(api, apps, limits);
  serveResource(api, fns, limits);
  serveResource(api, triggers, limits);
  serveRemoved(api);
  serveLookup(api, store);

  const document = describeApi([apps, fns, triggers], version);
  const json = JSON.stringify(document);
  page(api, "/openapi.json", (c) => c.body(json, 200, JSON_TYPE));
  const html = docsPage(document);
  page(api, "/docs", (c) =>
    c.html(html, 200, { "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'" }),
  );
}

/** Calls and their logs, which Fn took out of its API and still answers for. */
function serveRemoved(api: Hono<GatewayEnv>): void {
  const calls = "/v2/fns/:fn_id/calls";
  for (const path of [calls, `${calls}/:call_id`, `${calls}/:call_id/log`]) {
    page(api, path, () => {
      throw new CallError("gone");
    });
  }
}

/** What Fn's load balancers ask for a trigger, by its exact source: with its slash, so that two follow each other. */
function serveLookup(api: Hono<GatewayEnv>, store: Store): void {
  const path = "/v2/runner/apps/:app_id/triggerBySource/:trigger_type/*";
  api.get(path, async (c) => {
    const { app_id, trigger_type } = c.req.param();
    const source = sourceOf(c.req.path);
    const found = source === undefined ? undefined : await store.triggers.bySource(app_id, trigger_type, source);
    if (found === undefined) throw new CallError("trigger_not_found");
    return c.body(JSON.stringify(shownTrigger(found)), 200, JSON_TYPE);
  });
  only(api, path, "GET, HEAD");
}

/** All behind the type and one slash; undefined where it is no text. */
function sourceOf(path: string): string | undefined {
  try {
    return decodeURIComponent(path.split("/").slice(7).join("/"));
  } catch {
    return undefined;
  }
}
