import { chance, type Chance } from "../fleet/chance.ts";

/** Ids of what is there, so that some requests find something. */
export interface FuzzTargets {
  readonly appId: string;
  readonly fnId: string;
  readonly triggerId: string;
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "M-SEARCH"];
const TEXTS = [
  "",
  "a",
  " ",
  "\u0000",
  "%00",
  "%",
  "%zz",
  "%ff%fe",
  "..%2f..",
  "\u202e",
  "ä",
  "💥",
  "\\ud800",
  "' or 1=1 --",
  "__proto__",
  "constructor",
  "/",
  "//",
  "?",
  "x".repeat(3_000),
  "-1",
  "1e309",
  "null",
];
const FIELDS = [
  "id",
  "name",
  "app_id",
  "fn_id",
  "image",
  "memory",
  "timeout",
  "idle_timeout",
  "config",
  "annotations",
  "syslog_url",
  "shape",
  "type",
  "source",
  "cpus",
  "tmpfs_size",
  "concurrency",
  "max_calls",
  "min_containers",
  "max_containers",
  "on_cancel",
  "idempotent",
  "created_at",
  "__proto__",
  "toString",
];
/** Of triggers: right ones and nearly right ones. */
const ANNOTATIONS = [
  "",
  '"kiln/path":"/users/:id"',
  '"kiln/path":"/:a/:b?"',
  '"kiln/path":"/*"',
  '"kiln/path":":::"',
  '"kiln/methods":["GET","PUT"]',
  '"kiln/methods":["get"," "]',
  '"kiln/hosts":["127.0.0.1"]',
  '"kiln/cors":{"origins":["*"]}',
  '"kiln/cors":{}',
  '"kiln/invoke-type":"detached"',
  '"kiln/invoke-type":"client"',
  '"kiln/schedule":"*/5 * * * *"',
  '"kiln/schedule":"61 * * * *","kiln/time-zone":"Europe/Nowhere"',
];
const SOURCES = ["target", "users/1", "users/%2e%2e", "a/b", "a//b", "", "%c3%a4"];
const NUMBERS = ["0", "-0", "-1", "1", "128", "9007199254740993", "1e400", "-1e400", "1.5", "0.1e-7", "4294967296"];

/** An HTTP request as bytes: of a seed always the same, and mostly nearly right. */
export function fuzzRequest(seed: number, targets: FuzzTargets): Buffer {
  const by = chance(seed);
  const method = by.happens(0.9) ? by.pick(METHODS.slice(0, 5)) : by.pick(METHODS);
  const body = by.happens(0.7) ? bodyOf(by, targets) : Buffer.alloc(0);
  const headers = ["Host: 127.0.0.1", "Connection: close", ...headersOf(by)];
  if (body.length > 0 || by.happens(0.1))
    headers.push(`Content-Length: ${by.happens(0.98) ? body.length : by.pick(NUMBERS)}`);
  const head = `${method} ${pathOf(by, targets)} HTTP/1.${by.happens(0.97) ? 1 : by.below(10)}\r\n${headers.join("\r\n")}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

function pathOf(by: Chance, targets: FuzzTargets): string {
  const id = () => (by.happens(0.6) ? by.pick(Object.values<string>({ ...targets })) : textOf(by));
  const path = by.pick([
    () => "/v2/apps",
    () => "/v2/fns",
    () => "/v2/triggers",
    () => `/v2/apps/${id()}`,
    () => `/v2/fns/${id()}`,
    () => `/v2/triggers/${id()}`,
    () => `/v2/fns/${id()}/calls/${textOf(by)}`,
    () => `/v2/runner/apps/${id()}/triggerBySource/${textOf(by)}/${textOf(by)}`,
    () => `/invoke/${id()}`,
    () => `/t/${by.happens(0.8) ? "target" : id()}/${by.happens(0.5) ? by.pick(SOURCES) : textOf(by)}`,
    () => by.pick(["/", "/version", "/metrics", "/livez", "/readyz", "/openapi.json", "/docs", "*", "//", ""]),
    () => `/${textOf(by)}`,
  ])();
  if (by.happens(0.5)) return path;
  const names = ["app_id", "fn_id", "name", "cursor", "per_page", textOf(by)];
  const query = Array.from({ length: by.below(4) }, () => `${by.pick(names)}=${id()}`);
  return `${path}?${query.join("&")}`;
}

/** As it may stand in a request line: what may not, is not what this is after. */
function textOf(by: Chance): string {
  const text = by.pick(TEXTS);
  return by.happens(0.9) ? encodeURI(text.replace(/[\ud800-\udfff]/g, "x")).replaceAll("%25", "%") : text;
}

function headersOf(by: Chance): string[] {
  const names = [
    "If-Match",
    "If-None-Match",
    "Content-Type",
    "Authorization",
    "X-Forwarded-Host",
    "Fn-Invoke-Type",
    "Accept",
    "X-A",
    "Origin",
  ];
  const values = [
    "*",
    '"x"',
    'W/"x", "y"',
    ",",
    "",
    "application/json",
    "detached",
    "x".repeat(9_000),
    "ä",
    "http://127.0.0.1",
  ];
  return Array.from({ length: by.below(3) }, () => `${by.pick(names)}: ${by.pick(values)}`);
}

function bodyOf(by: Chance, targets: FuzzTargets): Buffer {
  if (by.happens(0.05)) return Buffer.from(Array.from({ length: by.below(64) }, () => by.below(256)));
  if (by.happens(0.02)) return Buffer.from("[".repeat(100_000) + "]".repeat(by.below(2) * 100_000));
  if (by.happens(0.02)) return Buffer.from(`{"name":"${"x".repeat(600_000 * (1 + by.below(3)))}"}`);
  const fields = Array.from(
    { length: by.below(8) },
    () => `${JSON.stringify(by.pick(FIELDS))}:${valueOf(by, targets, 0)}`,
  );
  const right = [
    `"name":"n${by.below(1_000_000)}"`,
    `"app_id":"${targets.appId}"`,
    `"fn_id":"${targets.fnId}"`,
    '"image":"i"',
    `"type":"${by.happens(0.8) ? "http" : "schedule"}"`,
    `"source":"/${by.below(1_000_000)}"`,
    `"annotations":{${by.pick(ANNOTATIONS)}}`,
  ];
  const text = `{${[...(by.happens(0.7) ? right : []), ...fields].join(",")}}`;
  return Buffer.from(by.happens(0.95) ? text : text.slice(0, by.below(text.length)));
}

function valueOf(by: Chance, targets: FuzzTargets, depth: number): string {
  const kind = by.below(depth > 3 ? 5 : 7);
  if (kind === 0) return by.pick(NUMBERS);
  if (kind === 1) return by.pick(["true", "false", "null"]);
  if (kind === 2) return JSON.stringify(by.pick(Object.values(targets)));
  if (kind === 3) return by.happens(0.5) ? '"\\ud800"' : '"\\u0000"';
  if (kind === 4) return JSON.stringify(by.pick(TEXTS));
  const inner = Array.from({ length: by.below(5) }, () => valueOf(by, targets, depth + 1));
  if (kind === 5) return `[${inner.join(",")}]`;
  return `{${inner.map((value) => `${JSON.stringify(by.pick([...TEXTS, "k", "kiln/cpus"]))}:${value}`).join(",")}}`;
}
