import { CallError } from "../../core/call-error.ts";

export interface BodyLimits {
  readonly maxBytes: number;
  /** How long it may take to come. */
  readonly timeoutMs: number;
}

/** Deeper than any annotation, and no deeper than what reads it can go. */
const DEEPEST = 64;
/** Go's clients send these when they mean to say nothing. */
const ZERO_NUMBERS = new Set(["memory", "timeout", "idle_timeout"]);

export type Body = Readonly<Record<string, unknown>>;

/**
 * Reads a JSON object, whatever its content type says: Fn never looks. What Go's clients send for a field they did not
 * set is taken out, so that it is absent here as well.
 * @throws CallError `invalid_json`, `request_too_big`, `request_body_unreadable`
 */
export async function readBody(request: Request, limits: BodyLimits): Promise<Body> {
  return spoken(parse(await text(request, limits)), request.method);
}

async function text(request: Request, { maxBytes, timeoutMs }: BodyLimits): Promise<string> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = request.body?.getReader();
  if (reader === undefined) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const late = AbortSignal.timeout(timeoutMs);
  const stop = () => void reader.cancel(late.reason).catch(() => {});
  late.addEventListener("abort", stop);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (late.aborted) throw late.reason;
      if (done) break;
      bytes += value.length;
      if (bytes > maxBytes) {
        stop();
        throw new CallError("request_too_big", `Request content too big: the most is ${maxBytes} bytes`);
      }
      chunks.push(value);
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    if (cause instanceof CallError) throw cause;
    if (late.aborted) {
      const message = `Request body did not come within ${timeoutMs} ms`;
      throw new CallError("request_body_unreadable", message, { status: 408, cause });
    }
    if (bytes > 0 && cause instanceof TypeError) throw new CallError("invalid_json", "Invalid JSON: it is not UTF-8");
    throw new CallError("request_body_unreadable", undefined, { cause });
  } finally {
    late.removeEventListener("abort", stop);
  }
}

function parse(json: string): Body {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new CallError("invalid_json", `Invalid JSON: ${reasonOf(cause)}`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CallError("invalid_json", "Invalid JSON: expected an object");
  }
  if (isDeeper(value, DEEPEST)) throw new CallError("invalid_json", `Invalid JSON: deeper than ${DEEPEST}`);
  return value as Record<string, unknown>;
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeper(inner, depth - 1));
}

/** Without what says nothing. To a PATCH, null says that the field goes back to its default. */
function spoken(body: Body, method: string): Body {
  const said = Object.entries(body).filter(([name, value]) => {
    if (value === null) return method === "PATCH";
    if (value === "") return name === "syslog_url";
    return value !== 0 || !ZERO_NUMBERS.has(name);
  });
  return Object.fromEntries(said);
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/^JSON\.parse: /, "").slice(0, 200) : "unreadable";
}
