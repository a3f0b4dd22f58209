import { Readable } from "node:stream";

import { Client, type Dispatcher } from "undici";

import { quantile } from "../statistics.ts";
import type { Job, LoadResult, Target } from "./job.ts";

export interface Clients extends AsyncDisposable {
  warmUp(): Promise<void>;
  measure(): Promise<LoadResult>;
}

/** Larger request bodies are sent as a stream, so that the generator holds none of them whole. */
const WHOLE_BYTES = 4 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
/** Spaces follow it, so that it is JSON at any length. */
const BODY = '{"name":"bench"}';

/** Opens a connection for each client of a job. */
export function openClients(job: Job): Clients {
  const clients = job.targets.map((target) => new CallClient(target, job));
  const all = async (untilMs: number, maxCalls: number) => {
    const started = performance.now();
    const tallies = await Promise.all(clients.map((client) => client.callUntil(started + untilMs, maxCalls)));
    return resultOf(tallies, performance.now() - started);
  };
  return {
    async warmUp() {
      if (job.warmUpMs > 0) await all(job.warmUpMs, Infinity);
    },
    measure: () => all(job.measureMs, job.maxCallsEach),
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

interface Tally {
  readonly latenciesMs: number[];
  responseBytes: number;
  failures: number;
  failure: string | undefined;
}

/** One client: a call, and the next when it has its answer. */
class CallClient {
  readonly #client: Client;
  readonly #options: Dispatcher.DispatchOptions;
  readonly #requestBytes: number;
  readonly #piece: Buffer;
  readonly #target: Target;
  #calls = 0;

  constructor(target: Target, { headers, requestBytes }: Job) {
    const { origin, socketPath, path } = target;
    this.#target = target;
    this.#client = new Client(origin, { pipelining: 1, ...(socketPath === undefined ? {} : { socketPath }) });
    this.#requestBytes = requestBytes;
    this.#piece = Buffer.alloc(Math.min(requestBytes, WHOLE_BYTES), " ");
    if (requestBytes >= BODY.length) this.#piece.write(BODY);
    const length = { "content-length": String(requestBytes), "content-type": "application/octet-stream" };
    this.#options = { method: "POST", path, headers: { ...length, ...headers } };
  }

  async callUntil(end: number, maxCalls: number): Promise<Tally> {
    const tally: Tally = { latenciesMs: [], responseBytes: 0, failures: 0, failure: undefined };
    // One at least, however late it is: a machine may have stood still for all of a short measurement.
    const goesOn = (calls: number) => calls < maxCalls && (calls === 0 || performance.now() < end);
    for (let calls = 0; goesOn(calls) && tally.failures === 0; calls++) {
      const started = performance.now();
      await new Promise<void>((resolve) => {
        this.#client.dispatch({ ...this.#options, path: this.#path(), body: this.#body() }, answerTo(tally, resolve));
      });
      tally.latenciesMs.push(performance.now() - started);
    }
    return tally;
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }

  #path(): string {
    const { path, walk } = this.#target;
    if (walk === undefined) return path;
    const step = Math.floor(this.#calls++ / walk.inARow) % walk.count;
    return `${path}${walk.from + step}`;
  }

  #body(): Buffer | Readable {
    if (this.#requestBytes <= WHOLE_BYTES) return this.#piece;
    return Readable.from(pieces(this.#piece.subarray(0, PIECE_BYTES), this.#requestBytes));
  }
}

function answerTo(tally: Tally, over: () => void): Dispatcher.DispatchHandler {
  const fail = (why: string) => {
    tally.failures += 1;
    tally.failure ??= why;
  };
  return {
    onRequestStart() {},
    onResponseStart(_controller, status) {
      if (status !== 200) fail(`status ${status}`);
    },
    onResponseData(_controller, chunk) {
      tally.responseBytes += chunk.length;
    },
    onResponseEnd: over,
    onResponseError(_controller, error) {
      fail(error.message);
      over();
    },
  };
}

function* pieces(piece: Buffer, bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= piece.length) yield left < piece.length ? piece.subarray(0, left) : piece;
}

function resultOf(tallies: readonly Tally[], elapsedMs: number): LoadResult {
  const latencies = Float64Array.from(tallies.flatMap((tally) => tally.latenciesMs)).sort();
  const total = (of: (tally: Tally) => number) => tallies.reduce((sum, tally) => sum + of(tally), 0);
  return {
    calls: latencies.length,
    failures: total((tally) => tally.failures),
    failure: tallies.find((tally) => tally.failure !== undefined)?.failure,
    elapsedMs,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    p999Ms: quantile(latencies, 0.999),
    responseBytes: total((tally) => tally.responseBytes),
  };
}
