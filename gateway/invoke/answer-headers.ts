import type { CallId, HeaderList } from "../../core/call.ts";
import { isHopByHop } from "../../core/hop-by-hop.ts";

/** Header fields by lower-case name; a list where a name came more than once. */
export type AnswerHeaders = Record<string, string | string[]>;

/** The function's headers as a client gets them; the length and the call's id are the gateway's to say. */
export function answerHeaders(headers: HeaderList, callId: CallId): AnswerHeaders {
  const answer: AnswerHeaders = { "fn-call-id": callId };
  const named = connectionTokens(headers);
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === "content-length" || lower === "fn-call-id" || lower === "__proto__") continue;
    if (isHopByHop(lower, value) || lower === "te" || named?.includes(lower) === true) continue;
    const before = answer[lower];
    answer[lower] = before === undefined ? value : [before, value].flat();
  }
  return answer;
}

function connectionTokens(headers: HeaderList): readonly string[] | undefined {
  const values = headers.filter(([name]) => name.length === 10 && name.toLowerCase() === "connection");
  if (values.length === 0) return undefined;
  return values.flatMap(([, value]) => value.split(",").map((token) => token.trim().toLowerCase()));
}
