import { STATUS_CODES } from "node:http";

import type { Context, ErrorHandler } from "hono";
import type { StatusCode } from "hono/utils/http-status";

import { CallError } from "../../core/call-error.ts";
import { newCallId, type CallId } from "../../core/call.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import type { Log } from "../../core/log.ts";
import type { GatewayEnv } from "../overrider.ts";
import type { Exchange } from "./exchange.ts";

type Fields = Record<string, string | string[]>;

/** The two ways of an HTTPException, told by shape: an operator's file may have a Hono of its own. */
interface HttpFault extends Error {
  readonly status: number;
  readonly res?: Response;
  getResponse(): Response;
}

const LONGEST_MESSAGE = 1_024;

/** Turns whatever a route or its middleware threw into the answer that the client gets. */
export function answerErrors(log: Log, retryAfterSeconds: number): ErrorHandler<GatewayEnv> {
  return async (reason, c) => {
    const exchange: Exchange | undefined = c.get("exchange");
    const callId = exchange?.callId ?? newCallId();
    const http = isHttpFault(reason) ? reason : undefined;
    const failure = http === undefined ? failureOf(reason, exchange) : await failureOfHttp(http);
    // Of an answer that was there already, nothing may show in this one.
    if (c.finalized) dropAnswer(c);
    if (exchange !== undefined) exchange.refused(failure);
    else if (failure.code === "internal" || failure.code === "store_unavailable")
      log.error("Request failed", { call_id: callId, path: c.req.path, error: failure });
    if (http !== undefined && http.status < 400) return redirect(http.getResponse(), callId);
    return c.newResponse(
      errorBody(failure, callId),
      failure.status as StatusCode,
      errorHeaders(failure, callId, retryAfterSeconds, http?.res),
    );
  };
}

/** The error as clients get it: one JSON object and a newline; nothing for a client that has left. */
export function errorBody(failure: CallError, callId: CallId): string | null {
  if (failure.code === "client_cancel") return null;
  const { message, code, component, retryable, stderrTail } = failure;
  const stderr = stderrTail === undefined || stderrTail === "" ? {} : { stderr: stderrTail };
  return `${JSON.stringify({ message, code, component, retryable, callId, ...stderr })}\n`;
}

export function errorHeaders(failure: CallError, callId: CallId, retryAfterSeconds: number, own?: Response): Fields {
  const fields: Fields = { "fn-call-id": callId };
  if (failure.status === 503 && failure.retryable) fields["retry-after"] = String(retryAfterSeconds);
  for (const [name, value] of own?.headers ?? []) {
    if (name === "set-cookie") fields[name] = [fields[name] ?? [], value].flat();
    else if (name !== "content-length") fields[name] = value;
  }
  if (failure.code !== "client_cancel") fields["content-type"] = "application/json; charset=utf-8";
  return fields;
}

/** What middleware makes of a call that is not there is no news: that it is not there is. */
function failureOf(reason: Error, exchange: Exchange | undefined): CallError {
  if (reason instanceof CallError) return reason;
  return exchange?.missing ?? CallError.from(reason);
}

async function failureOfHttp(fault: HttpFault): Promise<CallError> {
  const { status } = fault;
  const message = fault.message || (await shortText(fault.res)) || STATUS_CODES[status] || "Refused";
  return new CallError(codeOf(status), message, { status, cause: fault.cause });
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_request",
  404: "not_found",
  405: "method_not_allowed",
  413: "request_too_big",
  415: "unsupported_media_type",
  429: "too_many_requests",
  503: "server_busy",
};

function codeOf(status: number): ErrorCode {
  return CODES[status] ?? (status < 500 ? "refused_by_middleware" : "internal");
}

/** Hono's own middleware puts its message into a body. */
async function shortText(response: Response | undefined): Promise<string> {
  const text = response === undefined || response.bodyUsed ? "" : await response.clone().text();
  return text.length > LONGEST_MESSAGE || /^\s*[{[<]/.test(text) ? "" : text;
}

function isHttpFault(reason: Error): reason is HttpFault {
  return "getResponse" in reason && "status" in reason && typeof reason.status === "number";
}

function dropAnswer(c: Context<GatewayEnv>): void {
  // Hono then takes the next answer as it is, instead of adding this one's headers to it.
  Reflect.set(c, "res", undefined);
}

function redirect(response: Response, callId: CallId): Response {
  const headers = new Headers(response.headers);
  headers.set("fn-call-id", callId);
  return new Response(response.body, { status: response.status, headers });
}
