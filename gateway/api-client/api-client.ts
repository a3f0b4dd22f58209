import { Pool } from "undici";
import { z } from "zod";

import { ApiFailure } from "./api-failure.ts";
import { apiBase } from "./api-url.ts";

export interface ApiClientOptions {
  /** Of the server, as its operator names it. */
  readonly url: string;
  /** Bearer token; empty for none. */
  readonly token: string;
  /** Authorities that are believed in place of the system's, as PEM text. */
  readonly ca?: string | undefined;
  /** Longest wait for a whole answer. */
  readonly timeoutMs: number;
  /** Most requests at the same time; others wait their turn. */
  readonly connections: number;
  /** Largest answer, bytes. */
  readonly maxAnswerBytes: number;
}

export interface ApiRequest {
  /** Below `/v2/`, with its query. */
  readonly path: string;
  readonly method?: "GET" | "POST" | "PUT" | "PATCH";
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** An answer of an API below status 500: what it holds, or how it refused. */
export interface ApiAnswer {
  readonly status: number;
  readonly etag: string | undefined;
  /** As it was read from JSON; undefined where there was none. */
  readonly body: unknown;
}

/** Speaks to a server of Fn's API, Kiln's or Fn's. */
export interface ApiClient extends AsyncDisposable {
  /** Of the server, for people. */
  readonly url: string;
  /** One request, without another try. @throws ApiFailure where no API answered it */
  request(request: ApiRequest): Promise<ApiAnswer>;
}

const refusal = z.object({ message: z.string() });

/** @throws Error saying what is wrong with the URL */
export function apiClient(options: ApiClientOptions): ApiClient {
  const { token, ca, timeoutMs, connections, maxAnswerBytes } = options;
  const { origin, path: base } = apiBase(options.url);
  const url = origin + base;
  const pool = new Pool(origin, {
    connections,
    connect: { timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: maxAnswerBytes,
  });
  const authorization: Readonly<Record<string, string>> = token === "" ? {} : { authorization: `Bearer ${token}` };

  const send = async ({ path, method = "GET", body, headers = {}, signal }: ApiRequest): Promise<ApiAnswer> => {
    const late = AbortSignal.timeout(timeoutMs);
    const answer = await pool.request({
      path: `${base}/v2/${path}`,
      method,
      headers: { accept: "application/json", ...authorization, ...headers },
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    const etag = answer.headers["etag"];
    return {
      status: answer.statusCode,
      etag: typeof etag === "string" ? etag : undefined,
      body: parsed(text),
    };
  };

  return {
    url,
    async request(request) {
      const answer = await send(request).catch((cause: unknown) => {
        throw new ApiFailure("away", `The API at ${url} does not answer: ${reasonOf(cause)}`, {
          cause,
          retryable: true,
        });
      });
      refuseUnusable(url, answer);
      return answer;
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

/** @throws ApiFailure for an answer that says nothing about what was asked */
function refuseUnusable(url: string, { status, body }: ApiAnswer): void {
  const said = refusal.safeParse(body).data?.message;
  const answered = `The API at ${url} answered ${status}${said === undefined ? "" : ` (${said.slice(0, 200)})`}`;
  if (status >= 500) {
    // What a proxy says of a server behind it, or a server of itself, against what failed in the midst of its work.
    throw new ApiFailure(status === 500 || status === 501 ? "broken" : "away", answered, { retryable: true });
  }
  if (status === 401 || status === 403) {
    throw new ApiFailure("away", `${answered}: it wants another token`, { retryable: false });
  }
  if (status === 304 || status === 204) return;
  // A 404 of anything else than an API would make functions vanish.
  if (status >= 300 && (said === undefined || said.startsWith("Path not found"))) {
    throw new ApiFailure("away", `${answered}, which is no answer of a v2 API: check its address`, {
      retryable: false,
    });
  }
  if (body === undefined) {
    throw new ApiFailure("broken", `${answered} without JSON, which is no answer of a v2 API`, { retryable: false });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // Both addresses of a name refused: the error of several has no text of its own.
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join(", ");
  return cause.message;
}
