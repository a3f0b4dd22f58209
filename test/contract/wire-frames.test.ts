import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

import { decodeFrames } from "../../core/connect/decode-frames.ts";
import { MalformedMessage } from "../../core/protobuf/reader.ts";
import { ProtobufWriter } from "../../core/protobuf/writer.ts";
import { NO_TIMINGS, type GatewayFrame, type RunnerFrame } from "../../core/session/frames.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";
import { RUNNER_FRAMES as OF_A_RUNNER } from "../../gateway/runnerpool/decode-frames.ts";
import { encodeFrames as encodeGatewayFrames } from "../../gateway/runnerpool/encode-frames.ts";
import { fromResponse, toRequest } from "../../gateway/runnerpool/wire.ts";
import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { GATEWAY_FRAMES as OF_A_GATEWAY } from "../../runner/rpc/decode-frames.ts";
import { encodeFrames as encodeRunnerFrames } from "../../runner/rpc/encode-frames.ts";
import { fromRequest, toResponse } from "../../runner/rpc/wire.ts";

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i % 251);
const LONG = "long ".repeat(4_000);
// Around every length at which a nested length takes another byte, and every way in which text is written.
const TEXTS = [
  "",
  "a",
  "x".repeat(24),
  "x".repeat(25),
  "x".repeat(127),
  "x".repeat(128),
  "grüße",
  "日本".repeat(9),
  "\u{1f680}",
  LONG,
];
const LENGTHS = [0, 1, 100, 127, 128, 129, 16_383, 16_384, 65_536];

const capacity = {
  freeMemoryMiB: 512,
  freeCpuMillis: 0,
  totalMemoryMiB: 4_096,
  totalCpuMillis: 2_000,
  idle: { ["k".repeat(64)]: 3, none: 0 },
  spareSlots: { busy: 63 },
  starting: 1,
  waiting: 2,
  running: 64,
};
const timings = { waitMs: 0.123, pullMs: 0, startMs: 3, initMs: 1_234.567, runMs: 5_000_000_000 };
const full = callFor("fn", {
  type: "detached",
  config: { A: "1", EMPTY: "", "": "unnamed" },
  annotations: { plan: "gold", nested: { list: [1, null, true] } },
  syslogUrl: "tcp://logs:514",
  networkDisabled: true,
  onCancel: "finish",
  cpuMillis: 250,
  tmpfsMiB: 64,
  headers: [
    ["Accept", "*/*"],
    ["X-Empty", ""],
    ["accept", "text/plain"],
  ],
  extensions: { "cpu-shares": "1024" },
  callExtensions: { trace: "on" },
  registryToken: "secret",
  concurrency: 64,
  minContainers: 1,
  maxContainers: 300,
  maxCalls: 70_000,
});

const GATEWAY_FRAMES: readonly GatewayFrame[] = [
  { type: "hello", gatewayId: "gateway-1", version: "0.1.0" },
  { type: "hello", gatewayId: "", version: "" },
  offered(1, full, 1_000.2, bytes(200)),
  offered(2, callFor("fn"), Infinity, bytes(0)),
  offered(3, callFor("fn"), -5, bytes(65_536)),
  ...TEXTS.map((text, i) =>
    offered(4 + i, callFor("fn", { url: `http://h/${text}`, headers: [[`x-${i}`, text]] }), 1, bytes(10)),
  ),
  { type: "start", call: 0xffff_ffff },
  ...LENGTHS.map((length): GatewayFrame => ({ type: "data", call: 300, bytes: bytes(length), end: length % 2 === 1 })),
  { type: "credit", call: 5, bytes: 262_144 },
  { type: "credit", call: 5, bytes: 0 },
  { type: "cancel", call: 6, code: "client_cancel" },
];

const RUNNER_FRAMES: readonly RunnerFrame[] = [
  { type: "hello", hello: { runnerId: "r", bootId: "b", version: "0.1.0", isolation: "container", capacity } },
  {
    type: "hello",
    hello: { runnerId: "", bootId: "", version: "", isolation: "none", capacity: { ...capacity, idle: {} } },
  },
  { type: "refused", call: 1, code: "server_busy", message: LONG, scope: "this_runner" },
  { type: "refused", call: 1, code: "invalid_call", message: "", scope: "any_runner" },
  { type: "pending", call: 2, phase: "start" },
  ...TEXTS.map((containerId): RunnerFrame => ({ type: "accepted", call: 3, containerId })),
  ...TEXTS.map((text): RunnerFrame => ({
    type: "head",
    call: 4,
    head: {
      status: 200,
      headers: [
        ["Content-Type", text],
        ["", "x"],
      ],
    },
  })),
  ...LENGTHS.map((length): RunnerFrame => ({ type: "data", call: 128, bytes: bytes(length), end: false })),
  { type: "credit", call: 5, bytes: 4_294_967_295 },
  { type: "finished", call: 6, finish: { ok: true, timings } },
  { type: "finished", call: 6, finish: { ok: true, timings: NO_TIMINGS } },
  {
    type: "finished",
    call: 7,
    finish: { ok: false, timings, code: "function_failed", message: "no", status: undefined, stderrTail: LONG },
  },
  {
    type: "finished",
    call: 7,
    finish: { ok: false, timings, code: "call_timeout", message: "", status: 500, stderrTail: "" },
  },
  { type: "capacity", capacity },
  { type: "draining" },
];

function offered(call: number, asked: ReturnType<typeof callFor>, remainingMs: number, body: Uint8Array): GatewayFrame {
  const end = body.length % 2 === 0;
  return {
    type: "offer",
    call,
    offer: { call: asked, remainingMs, body, end, responseCredit: 262_144, affinityKey: "f".repeat(64) },
  };
}

function written<F>(
  encode: (writer: ProtobufWriter, frames: readonly F[]) => void,
  frames: readonly F[],
  writer = new ProtobufWriter(),
): Buffer {
  encode(writer, frames);
  return Buffer.concat(writer.finish(0));
}

function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.ok(
    Buffer.compare(actual, expected) === 0,
    `${what}: ${Buffer.from(actual).toString("hex", 0, 60)} is not ${Buffer.from(expected).toString("hex", 0, 60)}`,
  );
}

describe("frames on the wire, by hand and by the generated code", () => {
  it("are the same bytes of a gateway", () => {
    for (const frame of GATEWAY_FRAMES) {
      sameBytes(
        written(encodeGatewayFrames, [frame]),
        toBinary(pb.EngageRequestSchema, toRequest([frame])),
        frame.type,
      );
    }
    const writer = new ProtobufWriter();
    const all = toBinary(pb.EngageRequestSchema, toRequest(GATEWAY_FRAMES));
    sameBytes(written(encodeGatewayFrames, GATEWAY_FRAMES, writer), all, "all in one message");
    sameBytes(written(encodeGatewayFrames, GATEWAY_FRAMES, writer), all, "again with the same writer");
  });

  it("are the same bytes of a runner", () => {
    for (const frame of RUNNER_FRAMES) {
      sameBytes(
        written(encodeRunnerFrames, [frame]),
        toBinary(pb.EngageResponseSchema, toResponse([frame])),
        frame.type,
      );
    }
    sameBytes(
      written(encodeRunnerFrames, RUNNER_FRAMES),
      toBinary(pb.EngageResponseSchema, toResponse(RUNNER_FRAMES)),
      "all",
    );
  });

  it("are read alike from a gateway", () => {
    for (const frame of GATEWAY_FRAMES) {
      const message = toBinary(pb.EngageRequestSchema, toRequest([frame]));
      const read = decodeFrames([Buffer.from(message)], OF_A_GATEWAY);
      assert.deepEqual(plain(read), plain(fromRequest(fromBinary(pb.EngageRequestSchema, message))));
    }
  });

  it("are read alike from a runner", () => {
    for (const frame of RUNNER_FRAMES) {
      const message = toBinary(pb.EngageResponseSchema, toResponse([frame]));
      const read = decodeFrames([Buffer.from(message)], OF_A_RUNNER);
      assert.deepEqual(plain(read), plain(fromResponse(fromBinary(pb.EngageResponseSchema, message))));
    }
  });

  it("are read alike in whatever pieces they come, large pieces of bodies without being joined", () => {
    const asked = Buffer.from(toBinary(pb.EngageRequestSchema, toRequest(GATEWAY_FRAMES)));
    const answered = Buffer.from(toBinary(pb.EngageResponseSchema, toResponse(RUNNER_FRAMES)));
    for (const size of [97, 4_096, 16_384, 65_000]) {
      assert.deepEqual(
        plain(merged(decodeFrames(cut(asked, size), OF_A_GATEWAY))),
        plain(merged(decodeFrames([asked], OF_A_GATEWAY))),
      );
      assert.deepEqual(
        plain(merged(decodeFrames(cut(answered, size), OF_A_RUNNER))),
        plain(merged(decodeFrames([answered], OF_A_RUNNER))),
      );
    }
    const large = written(encodeRunnerFrames, [{ type: "data", call: 1, bytes: bytes(65_536), end: false }]);
    const pieces = cut(large, 16_384);
    for (const frame of decodeFrames(pieces, OF_A_RUNNER)) {
      assert.ok(frame.type === "data" && pieces.some(({ buffer }) => buffer === frame.bytes.buffer));
    }
  });

  it("are read alike in whatever pieces they come, where a field is of another type or written longer than ours", () => {
    const known = "0a0408011a00";
    const messages = [
      // Field 1 of the message as a varint, 64 bits, 32 bits, a group and a type there is none of.
      "08010801",
      `${known}0801${known}`,
      `090102030405060708${known}`,
      "0d010203040d01020304",
      "0b0c",
      "0f01",
      // Lengths beyond the message, also some that no number holds.
      "0affff7f0801",
      "0affffffffffffffff7f0801",
      "0affffffffffffffffff0108",
      "0affffffffffffffffffff01",
    ].map((hex) => Buffer.from(hex, "hex"));
    for (const format of [OF_A_RUNNER, OF_A_GATEWAY]) {
      const numbers = ["", "0803", `0a64${"00".repeat(100)}`, "090000000000000000", "0d00000000", "0a00"];
      const large = numbers.map((number) => largeData(Buffer.from(number, "hex"), format.dataField));
      for (const message of [...messages, ...large]) {
        const whole = outcome([message], format);
        for (let at = 1; at < Math.min(message.length, 120); at++) {
          const split = [message.subarray(0, at), message.subarray(at)];
          assert.deepEqual(outcome(split, format), whole, `${message.toString("hex", 0, 40)} in two at ${at}`);
        }
        assert.deepEqual(outcome(cut(message, 1), format), whole);
      }
    }
  });

  it("may have fields that a newer peer adds, and their fields in any order", () => {
    const head = new BinaryWriter().tag(99, WireType.LengthDelimited).string("new").tag(1, WireType.Varint).uint32(200);
    const frame = new BinaryWriter()
      .tag(6, WireType.LengthDelimited)
      .bytes(head.tag(98, WireType.Bit64).fixed64(1n).tag(97, WireType.Bit32).fixed32(1).finish())
      .tag(1, WireType.Varint)
      .uint32(7);
    const message = new BinaryWriter()
      .tag(50, WireType.Varint)
      .uint64(2n ** 60n)
      .tag(1, WireType.LengthDelimited)
      .bytes(frame.finish())
      .finish();

    const read = decodeFrames([Buffer.from(message)], OF_A_RUNNER);

    assert.deepEqual(read, [{ type: "head", call: 7, head: { status: 200, headers: [] } }]);
    assert.deepEqual(read, fromResponse(fromBinary(pb.EngageResponseSchema, message)));
  });

  it("of a kind that nobody knows end the session, on either side", () => {
    const unknown = new BinaryWriter()
      .tag(1, WireType.Varint)
      .uint32(7)
      .tag(60, WireType.LengthDelimited)
      .string("x")
      .finish();
    const message = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(unknown).finish();

    assert.throws(() => decodeFrames([Buffer.from(message)], OF_A_RUNNER), ProtocolError);
    assert.throws(() => decodeFrames([Buffer.from(message)], OF_A_GATEWAY), ProtocolError);
  });

  it("are refused where they are cut short or are no protobuf, at whatever byte", () => {
    const message = Buffer.from(toBinary(pb.EngageRequestSchema, toRequest(GATEWAY_FRAMES.slice(0, 4))));
    let refused = 0;
    for (let length = 1; length < message.length; length++) {
      try {
        decodeFrames([message.subarray(0, length)], OF_A_GATEWAY);
      } catch (error) {
        assert.ok(error instanceof MalformedMessage || error instanceof ProtocolError, String(error));
        refused += 1;
      }
    }
    const large = written(encodeGatewayFrames, [{ type: "data", call: 1, bytes: bytes(65_536), end: false }]);
    for (const short of [1, 20_000, 65_530]) {
      assert.throws(() => decodeFrames(cut(large.subarray(0, -short), 16_384), OF_A_GATEWAY), MalformedMessage);
    }
    // A message may end between two frames, and nowhere else.
    assert.equal(refused, message.length - 1 - 3);
    const notUtf8 = new BinaryWriter()
      .tag(1, WireType.LengthDelimited)
      .bytes(Uint8Array.of(0x12, 3, 0x0a, 1, 0xff))
      .finish();
    assert.throws(() => decodeFrames([Buffer.from(notUtf8)], OF_A_GATEWAY), MalformedMessage);
    assert.throws(() => fromBinary(pb.EngageRequestSchema, notUtf8));
  });
});

/** A body's large piece, each of its numbers written in ten bytes, with a call's number as given. */
function largeData(number: Uint8Array, dataField: number): Buffer {
  const field = (tag: number, value: Uint8Array) => Buffer.concat([slow(tag * 8 + 2), slow(value.length), value]);
  return field(1, Buffer.concat([number, field(dataField, field(1, bytes(5_000)))]));
}

function slow(value: number): Uint8Array {
  return Uint8Array.from({ length: 10 }, (_, i) => (i < 9 ? 0x80 : 0) | (Math.floor(value / 2 ** (7 * i)) % 0x80));
}

/** The frames, or what reading them throws. */
function outcome(pieces: readonly Buffer[], format: typeof OF_A_RUNNER | typeof OF_A_GATEWAY): unknown {
  try {
    return plain(
      merged(format === OF_A_RUNNER ? decodeFrames(pieces, OF_A_RUNNER) : decodeFrames(pieces, OF_A_GATEWAY)),
    );
  } catch (error) {
    assert.ok(error instanceof MalformedMessage || error instanceof ProtocolError, String(error));
    return error.name;
  }
}

/** Each piece in memory of its own. */
function cut(message: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) pieces.push(Buffer.from(message.subarray(at, at + size)));
  return pieces;
}

/** Pieces of one body that follow each other, as one. */
function merged(frames: readonly (GatewayFrame | RunnerFrame)[]): (GatewayFrame | RunnerFrame)[] {
  const whole: (GatewayFrame | RunnerFrame)[] = [];
  for (const frame of frames) {
    const before = whole.at(-1);
    if (frame.type === "data" && before?.type === "data" && before.call === frame.call && !before.end)
      whole[whole.length - 1] = { ...frame, bytes: Buffer.concat([before.bytes, frame.bytes]) };
    else whole.push(frame);
  }
  return whole;
}

/** Without the difference between a Buffer and a Uint8Array. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, item: unknown) =>
      item === Infinity
        ? "Infinity"
        : item instanceof Uint8Array
          ? Buffer.from(item).toString("hex")
          : isBufferJson(item)
            ? Buffer.from(item.data).toString("hex")
            : item,
    ),
  );
}

function isBufferJson(item: unknown): item is { readonly data: readonly number[] } {
  return typeof item === "object" && item !== null && "type" in item && item.type === "Buffer";
}
