import type { CallId, CallType, HeaderList } from "../../core/call.ts";
import type { ResponseHead } from "../../core/session/frames.ts";
import { answerHeaders, type AnswerHeaders } from "./answer-headers.ts";
import { callHeaders, headerValue, type RawHeaders } from "./call-headers.ts";

/** What a call takes from its HTTP request. */
export interface CallRequest {
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  readonly headers: RawHeaders;
}

/** What becomes of an HTTP request in a call, and of the function's answer in an HTTP response: all that routes differ in. */
export interface Framing {
  /** The trigger that leads to the function, if one does. */
  readonly triggerId?: string;
  request(request: CallRequest): { readonly type: CallType; readonly headers: HeaderList };
  answer(head: ResponseHead, callId: CallId): { readonly status: number; readonly headers: AnswerHeaders };
}

/** A direct invocation: both sides say themselves what they mean, in headers of Fn's. */
export const DIRECT: Framing = {
  request: ({ headers }) => ({ type: askedType(headers), headers: callHeaders(headers) }),
  answer: ({ status, headers }, callId) => ({ status, headers: answerHeaders(headers, callId) }),
};

/** Exactly this word: Fn takes everything else for a synchronous call. */
export function askedType(headers: RawHeaders): CallType {
  return headerValue(headers, "fn-invoke-type") === "detached" ? "detached" : "sync";
}
