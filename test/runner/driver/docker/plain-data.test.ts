import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { plainCopy } from "../../../../runner/driver/docker/plain-data.ts";

describe("plainCopy", () => {
  it("copies what JSON can say, and leaves out what is absent", () => {
    const original = { a: [1, "two", { three: true }], b: null, c: undefined, d: {} };

    assert.equal(JSON.stringify(plainCopy(original)), '{"a":[1,"two",{"three":true}],"d":{}}');
    assert.equal(plainCopy(undefined), undefined);
  });

  it("does not follow later changes", () => {
    const original = { HostConfig: { CapAdd: [] as string[] } };

    const copy = plainCopy(original);
    original.HostConfig.CapAdd.push("ALL");
    Object.assign(original.HostConfig, { Privileged: true });

    assert.equal(JSON.stringify(copy), '{"HostConfig":{"CapAdd":[]}}');
  });

  const refused: readonly (readonly [what: string, value: unknown, message: RegExp])[] = [
    [
      "a getter",
      {
        get Privileged() {
          return false;
        },
      },
      /Privileged is computed by a getter/,
    ],
    ["a setter", { a: { set b(_value: number) {} } }, /a\.b is computed/],
    ["toJSON", { toJSON: () => ({ Privileged: true }) }, /toJSON is a function/],
    ["an instance", { at: new Date(0) }, /at is an instance of a class/],
    ["a map", new Map([["Privileged", true]]), /options is an instance/],
    ["inherited fields", Object.create({ Privileged: true }), /instance of a class/],
    ["a symbol", { a: Symbol("x") }, /a is a symbol/],
    ["a bigint", { a: 1n }, /a is a bigint/],
    ["NaN", { a: [Number.NaN] }, /a\[0\] is NaN/],
    ["a hole", { a: Array(1) }, /a\[0\] is a list item of null/],
    ["a null item", { a: [null] }, /a\[0\] is a list item of null/],
    ["an endless list", { a: Array(100_000).fill("x") }, /too much data/],
    ["an endless text", { a: "x".repeat(5_000_000) }, /too much data/],
  ];
  for (const [what, value, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => plainCopy(value), { name: "TypeError", message });
    });
  }

  it("refuses what holds itself", () => {
    const original: Record<string, unknown> = {};
    original["self"] = original;

    assert.throws(() => plainCopy(original), /too deep, or holds itself/);
  });

  it("reads every value once, so that a proxy cannot say two things", () => {
    let reads = 0;
    const proxy = new Proxy(
      { Privileged: false },
      {
        getOwnPropertyDescriptor: () => {
          reads += 1;
          return { value: reads > 2, enumerable: true, configurable: true, writable: true };
        },
        get: () => true,
      },
    );

    const copy = plainCopy(proxy);

    // Object.keys asks once, and the copy once more.
    assert.equal(JSON.stringify(copy), '{"Privileged":false}');
    assert.equal(reads, 2);
    assert.equal(JSON.stringify(copy), '{"Privileged":false}');
  });

  it("has no prototype that a key could reach", () => {
    const copy = plainCopy(JSON.parse('{"__proto__": {"Privileged": true}}'));

    assert.deepEqual(Object.keys(copy as object), ["__proto__"]);
    assert.equal((copy as { Privileged?: boolean }).Privileged, undefined);
  });
});
