import type { Http2Stream } from "node:http2";

import type { Context } from "hono";

import { CallError } from "../../core/call-error.ts";
import { newCallId, type Call, type CallId } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import type { Roster, Seat } from "../../core/roster.ts";
import type { GatewayEnv } from "../overrider.ts";
import type { Allowance } from "./allowance.ts";
import type { BodyHolder } from "./body-feed.ts";
import { headerValue, type RawHeaders } from "./call-headers.ts";
import type { CallMetrics } from "./call-metrics.ts";
import type { CallOutcome } from "./call-outcome.ts";
import { CallPhases } from "./call-phases.ts";
import { DIRECT, type Framing } from "./framing.ts";
import { IncomingBody } from "./incoming-body.ts";
import type { InvokeLimits } from "./limits.ts";
import {
  followClient,
  nodeBindings,
  rawHeaders,
  readableBody,
  resetConnection,
  untouchedIncoming,
} from "./node-bindings.ts";
import { ResponseCollector } from "./response-collector.ts";

/** What the invoke path works with. */
export interface ExchangeParts {
  readonly limits: InvokeLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: CallMetrics;
  /** Where those stand that have not ended. */
  readonly open: Roster<Exchange>;
  /** Aborted once the gateway wants them to end. */
  readonly stopping: AbortSignal;
  /** The URL that the client asked for. */
  readonly urlOf: (c: Context<GatewayEnv>) => string;
}

/** One request to run a function, from its id to its end, which comes once. */
export class Exchange {
  readonly callId: CallId;
  readonly headers: RawHeaders;
  /** What the client declared; 0 for no body, undefined for one of unknown length. */
  readonly declaredBytes: number | undefined;
  readonly body: IncomingBody;
  /** The call as it was before any overrider. */
  built: Call | undefined;
  framing: Framing = DIRECT;
  /** Why there is no call. */
  missing: CallError | undefined;
  /** What was made of the function's answer; middleware may put another in its place. */
  answer: Response | undefined;
  readonly #c: Context<GatewayEnv>;
  readonly #parts: ExchangeParts;
  readonly #startedAt: number;
  readonly #phases: CallPhases;
  readonly #aborter = new AbortController();
  readonly #seat: Seat<Exchange>;
  #unfollow: () => void;
  #cancelDeadline = (): void => {};
  #call: Call | undefined;
  #collector: ResponseCollector | undefined;
  #state: "open" | "queued" | "running" | "ended" = "open";
  #failure: CallError | undefined;

  constructor(c: Context<GatewayEnv>, parts: ExchangeParts) {
    this.callId = newCallId(parts.clock.wallMs());
    this.#c = c;
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
    this.#phases = new CallPhases(parts.clock);
    this.headers = rawHeaders(c);
    this.declaredBytes = declaredBytes(c, this.headers);
    const original = c.req.raw;
    let readable: Request | undefined;
    const holder = (): BodyHolder => {
      const { raw } = c.req;
      if (raw !== original) return { raw, declaredBytes: undefined, incoming: undefined };
      const incoming = untouchedIncoming(c);
      readable ??= this.declaredBytes === 0 ? raw : readableBody(raw, nodeBindings(c).incoming);
      return { raw: readable, declaredBytes: this.declaredBytes, incoming };
    };
    const { limits, clock } = parts;
    this.body = new IncomingBody(holder, { limits, clock, signal: this.signal, failed: (reason) => this.fail(reason) });
    this.#unfollow = followClient(c, () => this.#gone());
    this.#seat = parts.open.add(this);
  }

  /** Aborts when nobody needs the call any more; its reason is a CallError. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  get outcome(): CallOutcome | undefined {
    return this.#collector?.outcome;
  }

  get failure(): CallError | undefined {
    return this.#failure;
  }

  /** Counts the call and gives it its deadline and the place for its answer. */
  submit(call: Call, allowance: Allowance): ResponseCollector {
    const { clock, metrics } = this.#parts;
    const collector = new ResponseCollector({
      detached: call.type === "detached",
      pending: () => this.#phases.enter("starting a container"),
      placed: () => this.#placed(),
      ended: (failure) => this.#end(failure),
      left: () => this.fail(new CallError("client_cancel")),
      cut: () => resetConnection(this.#c),
    });
    this.#call = call;
    this.#collector = collector;
    this.#state = "queued";
    this.#phases.enter("looking for a runner");
    metrics.queued();
    if (allowance.ms !== Infinity) this.#cancelDeadline = clock.after(allowance.ms, () => this.#tooLate(allowance));
    return collector;
  }

  /** From now on the client may leave. */
  detach(): void {
    this.#unfollow();
  }

  /** Ends the call, wherever it is. */
  fail(reason: CallError): void {
    if (this.#state === "ended") return;
    // Before the signal, which makes the runner's side end the call in its own words.
    this.#collector?.fail(reason);
    this.#aborter.abort(reason);
  }

  /** The client gets this error, whatever the call may be doing. */
  refused(failure: CallError): void {
    if (this.#state === "ended") return;
    this.#collector?.abandon(failure);
    this.#end(failure);
    this.#aborter.abort(failure);
  }

  /** The client has its answer, or will have it from the call. */
  answered(): void {
    if (this.#state !== "open") return;
    this.#unfollow();
    this.#parts.open.remove(this.#seat);
  }

  /** Milliseconds since the request came. */
  elapsedMs(): number {
    return this.#parts.clock.now() - this.#startedAt;
  }

  #gone(): void {
    // A client may leave with the last byte it was promised: that call is a success, about to be told as one.
    if (this.#state === "ended" || this.#collector?.delivered === true) return;
    const reason = new CallError("client_cancel");
    // An answer that was given up for another must not take that one's connection with it.
    this.#collector?.abandon(reason);
    this.#aborter.abort(reason);
  }

  #tooLate({ ms, made }: Allowance): void {
    const why = `the call's deadline of ${ms} ms passed, ${made} (${String(this.#phases)})`;
    if (this.#call?.type === "detached" && this.#state === "running") {
      return this.fail(new CallError("reservation_failed", `Could not serve the call within its reservation: ${why}`));
    }
    // A runner that has the call ends it for the same reason; which of the two clocks is first must not matter.
    const taken = this.#state === "running" || this.outcome?.phase !== undefined;
    if (taken) return this.fail(new CallError("call_timeout", `Timed out: ${why}`));
    this.fail(new CallError("server_busy", `Timed out - server too busy: ${why}`));
  }

  #placed(): void {
    if (this.#state !== "queued") return;
    this.#state = "running";
    this.#phases.enter("running");
    this.#parts.metrics.running();
  }

  #end(failure: CallError | undefined): void {
    const was = this.#state;
    if (was === "ended") return;
    this.#state = "ended";
    this.#failure = failure;
    this.#cancelDeadline();
    this.#unfollow();
    this.body.leave(failure);
    this.#parts.open.remove(this.#seat);
    if (was !== "open") this.#parts.metrics.ended(was, failure, this.outcome?.fdkVersion);
    this.#report(failure);
  }

  #report(failure: CallError | undefined): void {
    const call = this.#call ?? this.built;
    const { outcome } = this;
    const fields = {
      call_id: this.callId,
      app_id: call?.appId,
      fn_id: call?.fnId,
      trigger_id: this.framing.triggerId,
      fdk: outcome?.fdkVersion,
      runner: outcome?.runner,
      code: failure?.code,
      status: failure?.status ?? (call?.type === "detached" ? 202 : 200),
      total_ms: Math.round(this.elapsedMs()),
      attempts: outcome?.attempts,
      wait_ms: outcome?.timings?.waitMs,
      pull_ms: outcome?.timings?.pullMs,
      start_ms: outcome?.timings?.startMs,
      init_ms: outcome?.timings?.initMs,
      run_ms: outcome?.timings?.runMs,
      error: failure,
    };
    const message = this.#call === undefined ? "Call refused" : "Call finished";
    this.#parts.log[levelOf(failure)](message, fields);
  }
}

/** Only what an operator can mend is worth waking one. */
function levelOf(failure: CallError | undefined): "info" | "warn" | "error" {
  if (failure === undefined || failure.blame !== "platform") return "info";
  return failure.code === "internal" ? "error" : failure.code === "server_busy" ? "info" : "warn";
}

function declaredBytes(c: Context<GatewayEnv>, headers: RawHeaders): number | undefined {
  const declared = headerValue(headers, "content-length");
  if (declared !== undefined && /^\d+$/.test(declared)) return Number(declared);
  return hasBody(c, headers) ? undefined : 0;
}

/** Of a request that gives no length: HTTP/1.1 says so in a header, HTTP/2 by not ending the stream with them. */
function hasBody(c: Context<GatewayEnv>, headers: RawHeaders): boolean {
  const { incoming } = nodeBindings(c);
  if (incoming === undefined) return c.req.raw.body !== null;
  if (incoming.httpVersionMajor === 1) return headerValue(headers, "transfer-encoding") !== undefined;
  return !("stream" in incoming && (incoming.stream as Http2Stream).endAfterHeaders);
}
