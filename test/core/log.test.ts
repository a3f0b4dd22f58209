import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";

import { createLog, flushLog, type LogOptions } from "../../core/log.ts";

function linesOf(options: LogOptions) {
  const lines: string[] = [];
  const log = createLog({ now: () => new Date(0), write: (line) => void lines.push(line), ...options });
  return { log, lines };
}

describe("createLog", () => {
  it("writes a line of text with its fields, quoting what needs it", () => {
    const { log, lines } = linesOf({});

    log.info("Call finished", { call_id: "X1", message: "two words", missing: undefined, list: [1] });

    assert.deepEqual(lines, [
      '1970-01-01T00:00:00.000Z info  Call finished call_id=X1 message="two words" list="[1]"\n',
    ]);
  });

  it("writes JSON with the causes of an error", () => {
    const { log, lines } = linesOf({ format: "json" });

    log.error("Failed", { reason: new Error("outer", { cause: new TypeError("inner") }) });

    const line = JSON.parse(lines[0] ?? "") as { reason: string; level: string };
    assert.equal(line.level, "error");
    assert.equal(line.reason, "Error: outer, because TypeError: inner");
  });

  it("leaves out what is below its level", () => {
    const { log, lines } = linesOf({ level: "warn" });

    log.info("no");
    log.warn("yes");

    assert.equal(lines.length, 1);
  });

  it("says when, to the millisecond", () => {
    const times = [0, 7, 999, 1_000, Date.UTC(2026, 10, 26, 1, 2, 3, 45), 7, -1];
    let at = 0;
    const { log, lines } = linesOf({ now: () => new Date(times[at++] ?? NaN) });

    for (const _ of times) log.info("x");

    assert.deepEqual(
      lines.map((line) => line.split(" ")[0]),
      times.map((ms) => new Date(ms).toISOString()),
    );
  });

  it("keeps a line one line, whatever a value says", () => {
    const { log, lines } = linesOf({});

    log.info("x", { value: "a\nforged line" });

    assert.equal(lines[0]?.trimEnd().split("\n").length, 1);
  });

  it("writes lines together, and at once what somebody must hear", async (t) => {
    const written: string[] = [];
    const heard = Promise.withResolvers<void>();
    t.mock.method(process.stderr, "write", (text: string) => {
      written.push(text.replaceAll(/^\S+ /gm, ""));
      if (text.includes("third")) heard.resolve();
      return true;
    });
    const log = createLog();
    // The log's own timer does not.
    const alive = setTimeout(() => heard.reject(new Error("never written")), 10_000);

    log.info("first");
    const before = written.length;
    log.warn("second");
    log.info("third");
    await heard.promise.finally(() => clearTimeout(alive));

    assert.equal(before, 0);
    assert.deepEqual(written, ["info  first\nwarn  second\n", "info  third\n"]);
  });

  it("writes no more together than a pipe that others write to takes in one piece", (t) => {
    const written: string[] = [];
    t.mock.method(process.stderr, "write", (text: string) => (written.push(text), true));
    const log = createLog();
    const isLine = (text: string) => (text.match(/\n/g) ?? []).length === 1;

    // Of two bytes each: characters are not what counts.
    for (let i = 0; i < 40; i++) log.info("é".repeat(150));
    log.info("long".repeat(2_000));
    log.info("after");
    flushLog();

    const long = written.filter((text) => Buffer.byteLength(text) > 4_096);
    assert.deepEqual([long.length, ...long.map(isLine)], [1, true]);
    assert.equal(written.join("").split("\n").length - 1, 42);
    assert.ok(written.length < 10, `${written.length} writes`);
    assert.match(written.at(-1) ?? "", / info  after\n$/);
  });

  it("carries fields on", () => {
    const { log, lines } = linesOf({});

    log.with({ a: 1 }).with({ b: 2 }).info("x");

    assert.match(lines[0] ?? "", / x a=1 b=2\n$/);
  });
});
