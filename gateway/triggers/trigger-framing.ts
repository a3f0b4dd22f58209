import { CallError } from "../../core/call-error.ts";
import type { HeaderList } from "../../core/call.ts";
import { answerHeaders } from "../invoke/answer-headers.ts";
import { eachEndToEnd } from "../invoke/call-headers.ts";
import { askedType, type CallRequest, type Framing } from "../invoke/framing.ts";
import type { RouteMatch } from "./trigger-routes.ts";

const FRAME = "Fn-Http-H-";
const FRAME_LOWER = FRAME.toLowerCase();
const STATUS = "fn-http-status";

/**
 * Fn's framing of HTTP: what the client says comes with a prefix, so that it cannot be taken for the gateway's, and of
 * the function's answer only what has that prefix goes to the client, without it.
 */
export function triggerFraming({ trigger, settings, params }: RouteMatch): Framing {
  const { invokeType } = settings;
  return {
    triggerId: trigger.id,
    request: (request) => ({
      type: invokeType === "client" ? askedType(request.headers) : invokeType,
      headers: framed(request, params),
    }),
    answer: ({ status, headers }, callId) => ({
      status: status >= 400 ? status : (chosenStatus(headers) ?? status),
      headers: answerHeaders(
        unframed(headers).filter(([name]) => settings.cors === undefined || !isCors(name)),
        callId,
      ),
    }),
  };
}

function framed({ method, url, headers }: CallRequest, params: Readonly<Record<string, string>>): HeaderList {
  const list: [string, string][] = [];
  eachEndToEnd(headers, (name, value, lower) => {
    list.push([lower === "content-type" ? name : FRAME + canonical(name), value]);
  });
  list.push(["Fn-Http-Method", method], ["Fn-Http-Request-Url", url], ["Fn-Intent", "httprequest"]);
  // Encoded as they would be in a URL: a header cannot hold every character.
  for (const [name, value] of Object.entries(params)) {
    list.push([`Fn-Http-Param-${canonical(name)}`, encodeURIComponent(value)]);
  }
  return list;
}

/** As Go writes names, which is what functions look for: HTTP/2 has them in lower case. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

function unframed(headers: HeaderList): HeaderList {
  const list: (readonly [string, string])[] = [];
  let plainType: readonly [string, string] | undefined;
  let framedType: readonly [string, string] | undefined;
  for (const header of headers) {
    const lower = header[0].toLowerCase();
    if (lower === "content-type") plainType = header;
    if (!lower.startsWith(FRAME_LOWER) || lower.length === FRAME_LOWER.length) continue;
    const plain = [header[0].slice(FRAME.length), header[1]] as const;
    if (plain[0].toLowerCase() === "content-type") framedType = plain;
    else list.push(plain);
  }
  const type = framedType ?? plainType;
  return type === undefined ? list : [...list, type];
}

/** Where a trigger's settings say who may read its answers, its function does not. */
function isCors(name: string): boolean {
  return name.toLowerCase().startsWith("access-control-");
}

/** What is no number is no status, as with Fn. @throws CallError for a number that cannot be one */
function chosenStatus(headers: HeaderList): number | undefined {
  const value = headers.find(([name]) => name.toLowerCase() === STATUS)?.[1];
  const status = value !== undefined && /^\d+$/.test(value) ? Number(value) : 0;
  if (status === 0) return undefined;
  if (status >= 200 && status <= 599) return status;
  throw new CallError("function_invalid_response", `Function answered Fn-Http-Status ${value}, expected 200 to 599`);
}
