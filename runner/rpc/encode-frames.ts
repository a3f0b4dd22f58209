import type { HeaderList } from "../../core/call.ts";
import type { ProtobufWriter } from "../../core/protobuf/writer.ts";
import type { Capacity, Finish, RunnerFrame, RunnerHello, Timings } from "../../core/session/frames.ts";

/**
 * Writes an `EngageResponse`, byte for byte as the generated code does from `toResponse`: a small answer in 0.9 µs where
 * that takes 11.
 * Field numbers are those of `proto/kiln/runner/v1/runner.proto`.
 */
export function encodeFrames(writer: ProtobufWriter, frames: readonly RunnerFrame[]): void {
  for (const frame of frames) {
    const start = writer.open(1, frame.type === "data" ? frame.bytes.length : 0);
    if ("call" in frame) writer.uint(1, frame.call);
    encodeFrame(writer, frame);
    writer.close(start);
  }
}

function encodeFrame(writer: ProtobufWriter, frame: RunnerFrame): void {
  switch (frame.type) {
    case "hello":
      return encodeHello(writer, frame.hello);
    case "refused": {
      const start = writer.open(3);
      writer.string(1, frame.code);
      writer.string(2, frame.message);
      writer.uint(3, frame.scope === "any_runner" ? 2 : 1);
      return writer.close(start);
    }
    case "pending": {
      const start = writer.open(4);
      writer.string(1, frame.phase);
      return writer.close(start);
    }
    case "accepted": {
      const start = writer.open(5);
      writer.string(1, frame.containerId);
      return writer.close(start);
    }
    case "head": {
      const start = writer.open(6, frame.head.headers.length * 40);
      writer.uint(1, frame.head.status);
      encodeHeaders(writer, frame.head.headers);
      return writer.close(start);
    }
    case "data": {
      const start = writer.open(7, frame.bytes.length);
      writer.bytes(1, frame.bytes);
      writer.bool(2, frame.end);
      return writer.close(start);
    }
    case "credit": {
      const start = writer.open(8);
      writer.uint(1, frame.bytes);
      return writer.close(start);
    }
    case "finished":
      return encodeFinished(writer, frame.finish);
    case "capacity":
      return encodeCapacity(writer, 10, frame.capacity);
    case "draining":
      return writer.close(writer.open(11));
  }
}

function encodeHello(writer: ProtobufWriter, hello: RunnerHello): void {
  const start = writer.open(2);
  writer.string(1, hello.runnerId);
  writer.string(2, hello.bootId);
  writer.string(3, hello.version);
  writer.uint(4, hello.isolation === "container" ? 2 : 1);
  encodeCapacity(writer, 5, hello.capacity);
  writer.close(start);
}

function encodeHeaders(writer: ProtobufWriter, headers: HeaderList): void {
  for (const [name, value] of headers) {
    const start = writer.open(2);
    writer.string(1, name);
    writer.string(2, value);
    writer.close(start);
  }
}

function encodeFinished(writer: ProtobufWriter, finish: Finish): void {
  const start = writer.open(9);
  if (!finish.ok) {
    writer.string(1, finish.code);
    writer.string(2, finish.message);
    writer.uint(3, finish.status ?? 0);
    writer.string(4, finish.stderrTail);
  }
  encodeTimings(writer, finish.timings);
  writer.close(start);
}

function encodeTimings(writer: ProtobufWriter, timings: Timings): void {
  const start = writer.open(5);
  writer.uint(1, micros(timings.waitMs));
  writer.uint(2, micros(timings.pullMs));
  writer.uint(3, micros(timings.startMs));
  writer.uint(4, micros(timings.initMs));
  writer.uint(5, micros(timings.runMs));
  writer.close(start);
}

function encodeCapacity(writer: ProtobufWriter, field: number, capacity: Capacity): void {
  const start = writer.open(field);
  writer.uint(1, capacity.freeMemoryMiB);
  writer.uint(2, capacity.freeCpuMillis);
  encodeCounts(writer, 3, capacity.idle);
  writer.uint(4, capacity.totalMemoryMiB);
  writer.uint(5, capacity.totalCpuMillis);
  encodeCounts(writer, 6, capacity.spareSlots);
  writer.uint(7, capacity.starting);
  writer.uint(8, capacity.waiting);
  writer.uint(9, capacity.running);
  writer.close(start);
}

function encodeCounts(writer: ProtobufWriter, field: number, counts: Readonly<Record<string, number>>): void {
  for (const key in counts) {
    const entry = writer.open(field);
    writer.stringAlways(1, key);
    writer.uintAlways(2, counts[key] ?? 0);
    writer.close(entry);
  }
}

function micros(ms: number): number {
  return Math.max(0, Math.round(ms * 1_000));
}
