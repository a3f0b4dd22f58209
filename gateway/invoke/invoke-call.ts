import type { Context, Handler } from "hono";
import type { StatusCode } from "hono/utils/http-status";

import { CallError } from "../../core/call-error.ts";
import type { Call, CallId } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { ResponseHead } from "../../core/session/frames.ts";
import type { GatewayEnv } from "../overrider.ts";
import type { Placer, RunnerCall, RunnerPool } from "../runnerpool/runnerpool.ts";
import { affinityKey } from "./affinity-key.ts";
import { allowanceOf } from "./allowance.ts";
import type { AnswerHeaders } from "./answer-headers.ts";
import { checkCall } from "./check-call.ts";
import type { Exchange } from "./exchange.ts";
import type { InvokeLimits } from "./limits.ts";
import { isPlain } from "./plain-answer.ts";
import type { ResponseCollector } from "./response-collector.ts";

export interface InvokeParts {
  readonly placer: Placer;
  readonly pool: RunnerPool;
  readonly limits: InvokeLimits;
  readonly clock: Clock;
  /** Whether middleware may have set headers for the answer by then, which Hono keeps to itself. */
  readonly preparedHeaders: boolean;
}

/** Stands after the last middleware: has the call placed, and answers with what the function says. */
export function invokeCall(parts: InvokeParts): Handler<GatewayEnv> {
  return async (c) => {
    const exchange = c.get("exchange");
    const call = finalCall(c, exchange);
    const allowance = allowanceOf(call, parts.limits);
    const deadline = parts.clock.now() + allowance.ms;
    const collector = exchange.submit(call, allowance);
    c.set("outcome", collector.outcome);

    await place(call, deadline, exchange, collector, parts);
    const head = await collector.ready();
    // Run like any other, to the end, so that it is known how it ended and how long its body is.
    const dropped = c.req.method === "HEAD" && call.type !== "detached" ? await collector.dropped() : undefined;
    exchange.answer =
      call.type === "detached"
        ? accepted(c, call.id)
        : answer(c, exchange, head, collector, dropped, parts.preparedHeaders);
    return exchange.answer;
  };
}

/** The call as the last overrider left it. */
function finalCall(c: Context<GatewayEnv>, exchange: Exchange): Call {
  const call = c.get("call");
  const { built, missing } = exchange;
  if (missing !== undefined) throw missing;
  if (built !== undefined && call !== built) checkCall(call, built);
  return call;
}

async function place(
  call: Call,
  deadline: number,
  exchange: Exchange,
  collector: ResponseCollector,
  { placer, pool }: InvokeParts,
): Promise<void> {
  const detached = call.type === "detached";
  // A client that gets its answer before the call runs must have sent all of it.
  const body = detached ? { whole: await exchange.body.whole() } : await exchange.body.forOffer();
  if (detached) exchange.detach();
  const runnerCall: RunnerCall = {
    call,
    affinityKey: affinityKey(call),
    extensions: call.extensions,
    deadline,
    body: () => body,
    sink: collector,
  };
  try {
    const { runner, attempts } = await placer.place(runnerCall, pool, exchange.signal);
    collector.outcome.runner ??= runner.address;
    collector.outcome.attempts = attempts;
  } catch (reason) {
    throw CallError.from(exchange.signal.aborted ? exchange.signal.reason : reason);
  }
}

function accepted(c: Context<GatewayEnv>, callId: CallId): Response {
  return c.body(null, 202, { "content-length": "0", "fn-call-id": callId });
}

const NULL_BODY = new Set([204, 205, 304]);

/** @param dropped - bytes of a body that only its length is told of */
function answer(
  c: Context<GatewayEnv>,
  exchange: Exchange,
  head: ResponseHead,
  collector: ResponseCollector,
  dropped: number | undefined,
  preparedHeaders: boolean,
): Response {
  const { status, headers } = exchange.framing.answer(head, exchange.callId);
  keepCors(c, headers);
  try {
    if (dropped !== undefined) {
      headers["content-length"] = String(dropped);
      return c.newResponse(null, status as StatusCode, headers);
    }
    const whole = collector.whole();
    const body = whole ?? collector.stream();
    const length = whole?.length ?? collector.declaredBytes;
    if (length !== undefined) headers["content-length"] = String(length);
    if (length === 0 || NULL_BODY.has(status)) return c.newResponse(null, status as StatusCode, headers);
    // No guess at what it is: a browser that would believe one could be made to run it.
    headers["content-type"] ??= "application/octet-stream";
    if (!preparedHeaders && isPlain(headers)) return new Response(body, { status, headers });
    return c.newResponse(body, status as StatusCode, headers);
  } catch (cause) {
    throw new CallError("function_invalid_response", undefined, { cause });
  }
}

/** Which sites may read an answer is first the gateway's to say, where its middleware does. */
function keepCors(c: Context<GatewayEnv>, headers: AnswerHeaders): void {
  for (const name of Object.keys(headers)) {
    if (name.startsWith("access-control-") && c.res.headers.has(name)) delete headers[name];
  }
}
