import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import { NO_TIMINGS, type OfferedCall } from "../../core/session/frames.ts";
import type { StatusCheck, StatusFailure } from "../../core/status-check.ts";
import { collectCall, type Collected, type CollectOptions } from "../calls/collect-call.ts";
import type { NetworkBarrier } from "./network-barrier.ts";
import { STATUS_DETAILS_BYTES, type StatusCalls } from "./status-call.ts";

/** Says how something of the operator's is, in words of its own. What it throws fails the status. */
export type HealthCheck = (
  signal: AbortSignal,
) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;

export interface StatusOptions {
  /** Run as a call, by the way of every call; empty for none. Users cannot run it. */
  readonly image?: string;
  /** A file without which the status image runs without a network; empty for none. */
  readonly networkBarrier?: string;
  /** Longest look for it. */
  readonly networkBarrierMs?: number;
  readonly healthChecks?: readonly HealthCheck[];
}

export interface CheckDependencies extends Omit<StatusOptions, "networkBarrier" | "networkBarrierMs"> {
  readonly calls: StatusCalls;
  /** Undefined where the operator gave none. */
  readonly barrier: NetworkBarrier | undefined;
  readonly offer: CollectOptions["offer"];
  readonly clock: Clock;
}

/** All of a check: long enough for a disk or a Docker in trouble to show. */
const MOST_MS = 60_000;

/** Looks at the network barrier, asks the health checks, and runs the status image unless one of them failed. */
export async function checkStatus(body: Uint8Array, dependencies: CheckDependencies): Promise<StatusCheck> {
  const { clock, image = "", barrier } = dependencies;
  const createdAtMs = clock.wallMs();
  const until = clock.now() + MOST_MS;
  const networkDisabled = barrier !== undefined && !(await barrier.isThere());
  let custom: Readonly<Record<string, string>> = {};
  let ran: ImageRun = { failure: undefined, callId: "", details: new Uint8Array(), timings: NO_TIMINGS };
  try {
    custom = await askAll(dependencies);
    if (image !== "") ran = await runImage(dependencies, body, networkDisabled, until - clock.now());
  } catch (error) {
    ran = { ...ran, failure: failureOf(CallError.from(error, "hook_failed")) };
  }
  return { ...ran, createdAtMs, completedAtMs: clock.wallMs(), cached: false, networkDisabled, custom };
}

type ImageRun = Pick<StatusCheck, "failure" | "callId" | "details" | "timings">;

async function runImage(
  { calls, offer }: CheckDependencies,
  body: Uint8Array,
  networkDisabled: boolean,
  remainingMs: number,
): Promise<ImageRun> {
  const offered = calls.offer(body, networkDisabled, Math.max(1, remainingMs));
  const run = { callId: offered.call.id, details: new Uint8Array(), timings: NO_TIMINGS };
  try {
    return { ...run, ...imageAnswer(await collect(offered, offer)) };
  } catch (error) {
    return { ...run, failure: failureOf(CallError.from(error, "runner_internal")) };
  }
}

function collect(offered: OfferedCall, offer: CollectOptions["offer"]): Promise<Collected> {
  return collectCall(offered, { offer, mostBytes: STATUS_DETAILS_BYTES });
}

function imageAnswer({ head, body, finish }: Collected): Omit<ImageRun, "callId"> {
  const { timings } = finish;
  if (!finish.ok) {
    const { code, message, status } = finish;
    return {
      failure: failureOf(new CallError(code, message, status === undefined ? {} : { status })),
      details: body,
      timings,
    };
  }
  const status = Number(head.headers.find(([name]) => name.toLowerCase() === "fn-http-status")?.[1] ?? head.status);
  const said = { code: undefined, message: `The status image answered with status ${status}`, status };
  return { failure: status >= 400 ? said : undefined, details: body, timings };
}

function failureOf({ code, message, status, cause }: CallError): StatusFailure {
  // Operators read it, and what their own check threw is what they look for.
  const why = code === "hook_failed" && cause instanceof Error ? `${message}: ${cause.message}` : message;
  return { code, message: why, status };
}

/** Each after the other: the first that fails is the reason. @throws whatever it threw */
async function askAll({ healthChecks = [], clock }: CheckDependencies): Promise<Readonly<Record<string, string>>> {
  const late = new AbortController();
  const reason = new CallError("hook_failed", `A health check did not end in ${MOST_MS} ms`);
  const cancel = clock.after(MOST_MS, () => late.abort(reason));
  const overdue = new Promise<never>((_, reject) => {
    late.signal.addEventListener("abort", () => reject(reason), { once: true });
  });
  const said: Record<string, string> = {};
  try {
    for (const check of healthChecks) Object.assign(said, checked(await Promise.race([check(late.signal), overdue])));
    return said;
  } finally {
    cancel();
  }
}

function checked(said: unknown): Readonly<Record<string, string>> {
  const isMap =
    typeof said === "object" && said !== null && Object.values(said).every((one) => typeof one === "string");
  if (isMap) return said as Readonly<Record<string, string>>;
  throw new CallError("hook_failed", "A health check did not return an object of strings");
}
