import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { readSettings, type Environment } from "../../core/config.ts";
import { apiClient, type ApiClient } from "../../gateway/api-client/api-client.ts";
import { GATEWAY_SETTINGS } from "../../gateway/settings.ts";
import type { Write } from "../command.ts";
import { applyStep } from "./apply.ts";
import { inventory } from "./inventory.ts";
import { planImport, type Step } from "./plan.ts";

const DEFAULT_TARGET = "http://127.0.0.1:8080";

export const importUsage = `npm run kiln -- import --from URL [--to URL] [--apply] [--from-token-file FILE] [--token-file FILE]

  Brings the apps, functions and triggers of another server over, with their ids. It reads Fn's v2 API, Fn's own or
  Kiln's. Without --apply it only says what it would do. It can be run again: what is the same is left alone, what
  differs is made as it is there, what only this side has stays.
  --from             the other server, such as http://fn-api:8080
  --to               this side's administrators' address (${DEFAULT_TARGET})
  --apply            does it
  --from-token-file  file with the other server's bearer token, if it asks for one
  --token-file       the same for this side; without it FN_ADMIN_TOKEN or FN_ADMIN_TOKEN_FILE
  Exit code 0: all is as there, or would be; 3: something conflicts or was refused, and all else was done; 1: it failed.
`;

export interface ImportInput {
  /** What relative paths start from. */
  readonly directory: string;
  readonly env: Environment;
  readonly write: Write;
}

const TOKEN = { FN_ADMIN_TOKEN: GATEWAY_SETTINGS.FN_ADMIN_TOKEN };

/** Of one answer: a page of a hundred functions, each of which may be a megabyte long. */
const LARGEST_ANSWER = 134_217_728;
const TIMEOUT_MS = 30_000;

/** The `import` command, which resolves with the exit code. @throws Error saying which argument or server is at fault */
export async function importFrom(args: readonly string[], { directory, env, write }: ImportInput): Promise<number> {
  const options = readArgs(args);
  const file = async (name: "from-token-file" | "token-file") => {
    const path = options[name];
    return path === undefined ? undefined : await readToken(name, resolve(directory, path));
  };
  const fromToken = (await file("from-token-file")) ?? "";
  const token = (await file("token-file")) ?? readSettings(TOKEN, env).FN_ADMIN_TOKEN;
  await using source = connect(options.from, fromToken);
  await using target = connect(options.to, token);
  const steps = planImport(await inventory(source), await inventory(target));
  return await run(steps, options.apply ? target : undefined, write);
}

/** @param target where to do it; none only says what would be done */
async function run(steps: readonly Step[], target: ApiClient | undefined, write: Write): Promise<number> {
  const counts = { create: 0, update: 0, same: 0, conflict: 0, refused: 0 };
  for (const step of steps) {
    const refused = target === undefined ? undefined : await applyStep(target, step);
    counts[refused === undefined ? step.change : "refused"]++;
    if (refused !== undefined) write(`refused   ${shown(step)}: ${refused}\n`);
    else if (step.change !== "same") write(`${step.change.padEnd(8)}  ${shown(step)}${detail(step)}\n`);
  }
  const { create, update, same, conflict, refused } = counts;
  const bad = conflict + refused;
  const failures = bad === 0 ? "" : `, ${conflict} in conflict, ${refused} refused`;
  if (target === undefined) {
    write(`Would create ${create}, update ${update}, leave ${same} as they are${failures}. --apply does it.\n`);
  } else {
    write(`Created ${create}, updated ${update}, left ${same} as they are${failures}.\n`);
  }
  return bad === 0 ? 0 : 3;
}

function shown({ item }: Step): string {
  return `${item.kind} ${item.label} (${item.id})`;
}

function detail(step: Step): string {
  if (step.change === "update") return `: ${step.fields.join(", ")}`;
  return step.change === "conflict" ? `: ${step.reason}` : "";
}

function connect(url: string, token: string): ApiClient {
  return apiClient({ url, token, timeoutMs: TIMEOUT_MS, connections: 1, maxAnswerBytes: LARGEST_ANSWER });
}

function readArgs(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      from: { type: "string" },
      to: { type: "string", default: DEFAULT_TARGET },
      apply: { type: "boolean", default: false },
      "from-token-file": { type: "string" },
      "token-file": { type: "string" },
    },
  });
  const { from } = values;
  if (from === undefined) throw new Error("--from is missing: the server to bring apps over from");
  return { ...values, from };
}

async function readToken(option: string, path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new Error(`--${option} is "${path}", expected a readable file with a token`, { cause });
  }
}
