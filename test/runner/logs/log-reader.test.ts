import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { newCallId } from "../../../core/call.ts";
import type { FunctionLine } from "../../../runner/logs/function-line.ts";
import { LogReader, type LineBatch, type LineFilter } from "../../../runner/logs/log-reader.ts";

const ALL: LineFilter = { appId: "", fnId: "", callId: "" };
const CALL = newCallId();

function line(text: string, changes: Partial<FunctionLine> = {}): FunctionLine {
  const origin = { appId: "app", fnId: "fn", image: "image", containerId: "c1" };
  return { ...origin, atMs: 0, callId: CALL, between: false, stream: "stdout", text, partial: false, ...changes };
}

/** As in a transcript: `-3` for three lost lines. */
function shown(batch: LineBatch | undefined): readonly string[] {
  if (batch === undefined) return [];
  return [...(batch.dropped > 0 ? [`-${batch.dropped}`] : []), ...batch.lines.map(({ text }) => text)];
}

describe("LogReader", () => {
  it("gives what its filter asks for, and wakes its owner for nothing else", () => {
    let woken = 0;
    const ofCall = new LogReader({ ...ALL, callId: CALL }, 10_000, () => (woken += 1));
    const ofFn = new LogReader({ ...ALL, fnId: "other" }, 10_000, () => (woken += 1));
    const ofApp = new LogReader({ ...ALL, appId: "app" }, 10_000, () => {});

    const lines = [line("a"), line("b", { callId: undefined }), line("c", { fnId: "other", callId: undefined })];
    for (const reader of [ofCall, ofFn, ofApp]) for (const one of lines) reader.offer(one);

    assert.deepEqual(shown(ofCall.take(1_000)), ["a"]);
    assert.deepEqual(shown(ofFn.take(1_000)), ["c"]);
    assert.deepEqual(shown(ofApp.take(1_000)), ["a", "b", "c"]);
    assert.equal(woken, 2);
    assert.equal(ofCall.take(1_000), undefined);
  });

  it("loses what does not fit, and tells of it in its place", () => {
    const reader = new LogReader(ALL, 700, () => {});

    for (const text of ["a", "b", "lost", "lost"]) reader.offer(line(text));
    assert.deepEqual(shown(reader.take(1)), ["a"]);
    reader.offer(line("c"));
    reader.offer(line("lost"));

    assert.deepEqual(shown(reader.take(10_000)), ["b"]);
    assert.deepEqual(shown(reader.take(10_000)), ["-2", "c"]);
    assert.deepEqual(shown(reader.take(10_000)), ["-1"]);
    assert.equal(reader.take(10_000), undefined);
  });

  it("holds no more than its bound however much is written, and loses no line silently", () => {
    const reader = new LogReader(ALL, 64 * 1_024, () => {});
    let told = 0;
    let held = 0;
    for (let n = 1; n <= 100_000; n += 1) {
      reader.offer(line(`line ${n}`));
      if (n % 1_000 !== 0) continue;
      const batch = reader.take(8_192);
      told += (batch?.dropped ?? 0) + (batch?.lines.length ?? 0);
    }
    for (let batch = reader.take(8_192); batch !== undefined; batch = reader.take(8_192)) {
      told += batch.dropped + batch.lines.length;
      held += batch.lines.reduce((sum, { text }) => sum + text.length, 0);
    }

    assert.equal(told, 100_000);
    assert.ok(held > 0 && held <= 64 * 1_024);
  });

  it("takes nothing more once it has ended, and gives what it has", () => {
    const reader = new LogReader(ALL, 10_000, () => {});
    reader.offer(line("last"));
    reader.end();
    reader.offer(line("too late"));

    assert.equal(reader.over, true);
    assert.deepEqual(shown(reader.take(10_000)), ["last"]);
    assert.equal(reader.take(10_000), undefined);
  });
});
