import { CallError } from "../../core/call-error.ts";
import type { CallId } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { ContainerTask } from "../../core/container-task.ts";
import type { FunctionOutput, OutputWriter } from "../driver/driver.ts";
import { ContainerLog } from "./container-log.ts";
import type { FunctionLine } from "./function-line.ts";
import { LogReader, type LineFilter } from "./log-reader.ts";

export interface FunctionLogsOptions {
  readonly clock: Clock;
  readonly limits?: Partial<LogLimits>;
  /** Takes every line, for as long as the runner lives. */
  readonly sink?: ((line: FunctionLine) => void) | undefined;
}

export interface LogLimits {
  /** What is passed on of a call, and of each time between two calls. */
  readonly maxCallBytes: number;
  readonly maxReaders: number;
  /** What waits for one reader. */
  readonly maxReaderBytes: number;
}

const LIMITS: LogLimits = { maxCallBytes: 1_048_576, maxReaders: 16, maxReaderBytes: 1_048_576 };

/** What functions write, for whoever wants it. Costs next to nothing while nobody does. */
export class FunctionLogs implements FunctionOutput {
  readonly #clock: Clock;
  readonly #limits: LogLimits;
  readonly #sink: ((line: FunctionLine) => void) | undefined;
  readonly #containers = new Map<string, ContainerLog>();
  readonly #readers = new Set<LogReader>();
  #over = false;

  constructor({ clock, limits, sink }: FunctionLogsOptions) {
    this.#clock = clock;
    this.#limits = { ...LIMITS, ...limits };
    this.#sink = sink;
  }

  open(containerId: string, { appId, fnId, image }: ContainerTask): OutputWriter {
    const log = new ContainerLog(
      { appId, fnId, image, containerId },
      {
        maxBytes: this.#limits.maxCallBytes,
        clock: this.#clock,
        isHeard: () => this.#sink !== undefined || this.#readers.size > 0,
        pass: (line) => this.#pass(line),
        ended: () => this.#containers.delete(containerId),
      },
    );
    this.#containers.set(containerId, log);
    return log;
  }

  /** A call runs in a container from now on. */
  began(containerId: string, callId: CallId): void {
    this.#containers.get(containerId)?.began(callId);
  }

  /** It runs there no longer. */
  ended(containerId: string): void {
    this.#containers.get(containerId)?.ended();
  }

  /** Lines from now on, until `leave`. @throws CallError `too_many_requests` */
  follow(filter: LineFilter, wake: () => void): LogReader {
    const { maxReaders, maxReaderBytes } = this.#limits;
    if (this.#readers.size >= maxReaders) {
      const text = `Too many requests: ${maxReaders} readers follow the logs already, FN_LOG_READERS`;
      throw new CallError("too_many_requests", text);
    }
    const reader = new LogReader(filter, maxReaderBytes, wake);
    if (this.#over) reader.end();
    else this.#readers.add(reader);
    return reader;
  }

  leave(reader: LogReader): void {
    this.#readers.delete(reader);
  }

  /** Readers hear what there is, and that it was all. */
  end(): void {
    this.#over = true;
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
  }

  #pass(line: FunctionLine): void {
    this.#sink?.(line);
    for (const reader of this.#readers) reader.offer(line);
  }
}
