import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { ApiCache } from "../../../gateway/functions/api-cache.ts";
import { ApiOutage } from "../../../gateway/functions/api-outage.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

const limits = { maxEntries: 3, freshMs: 5_000, noneMs: 1_000, staleMs: 60_000 };
const signal = new AbortController().signal;
const away = { code: "store_unavailable" };

type Answer = { readonly name: string } | undefined;

/** A cache whose loader answers as told, and counts. */
function cached() {
  const clock = new VirtualClock();
  const outage = new ApiOutage(clock, limits.noneMs);
  const asked: string[] = [];
  const told: { answer: (key: string) => Promise<Answer> } = { answer: async (key) => ({ name: key }) };
  const cache = new ApiCache<{ readonly name: string }>({
    clock,
    limits,
    outage,
    load(key) {
      asked.push(key);
      return told.answer(key);
    },
  });
  const fail = () => {
    told.answer = () => {
      outage.failed();
      return Promise.reject(new Error("refused"));
    };
  };
  return { clock, outage, asked, told, cache, fail, get: (key: string, by = signal) => cache.get(key, by) };
}

describe("ApiCache", () => {
  it("asks once for all who want the same, and again once it is no longer fresh", async () => {
    const { clock, asked, get } = cached();

    const [one, other] = await Promise.all([get("a"), get("a")]);
    clock.advance(limits.freshMs - 1);
    assert.equal(await get("a"), one);
    assert.equal(one, other);
    assert.equal(asked.length, 1);
    clock.advance(1);
    await get("a");
    assert.equal(asked.length, 2);
  });

  it("believes for a shorter while that there is none", async () => {
    const { clock, asked, told, get } = cached();
    told.answer = async () => undefined;

    assert.equal(await get("a"), undefined);
    clock.advance(limits.noneMs - 1);
    assert.equal(await get("a"), undefined);
    assert.equal(asked.length, 1);
    told.answer = async () => ({ name: "made" });
    clock.advance(1);
    assert.equal((await get("a"))?.name, "made");
  });

  it("serves what it knows while the API is away, as long as that may be, and then not", async () => {
    const { clock, get, fail } = cached();
    const known = await get("a");
    fail();

    for (let waited = 0; waited < limits.staleMs; waited += 5_000) {
      clock.advance(5_000);
      assert.equal(await get("a"), known);
    }
    clock.advance(limits.noneMs);
    await assert.rejects(get("a"), away);
  });

  it("asks an API that is away once in a while, whatever is wanted of it", async () => {
    const { clock, asked, get, fail } = cached();
    await get("a");
    fail();
    clock.advance(limits.freshMs);
    asked.length = 0;

    for (const key of ["a", "b", "c", "a", "b"]) await get(key).catch(() => {});
    assert.deepEqual(asked, ["a"]);
    clock.advance(limits.noneMs);
    for (const key of ["b", "c", "a"]) await get(key).catch(() => {});
    assert.deepEqual(asked, ["a", "b"]);
  });

  it("fails what it does not know, and finds it when the API is back", async () => {
    const { clock, outage, told, get, fail } = cached();
    fail();
    await assert.rejects(get("b"), away);
    await assert.rejects(get("b"), away);

    told.answer = async (key) => {
      outage.answered();
      return { name: key };
    };
    clock.advance(limits.noneMs);
    assert.equal((await get("b"))?.name, "b");
    assert.equal((await get("c"))?.name, "c");
  });

  it("serves what it knows after a quarter of a second without an answer, and takes the answer when it comes", async () => {
    const { clock, told, get } = cached();
    const known = await get("a");
    const slow = Promise.withResolvers<Answer>();
    told.answer = () => slow.promise;
    clock.advance(limits.freshMs);

    assert.equal(await clock.until(get("a"), 250), known);
    slow.resolve({ name: "changed" });
    await clock.settle();
    assert.equal((await get("a"))?.name, "changed");
    assert.equal(clock.pending, 0);
  });

  it("lets a caller go who no longer wants it, and keeps the answer for others", async () => {
    const { told, asked, get } = cached();
    const slow = Promise.withResolvers<Answer>();
    told.answer = () => slow.promise;
    const leaving = new AbortController();

    const left = get("a", leaving.signal);
    leaving.abort(new Error("left"));
    await assert.rejects(left, { message: "left" });
    slow.resolve({ name: "a" });
    assert.equal((await get("a"))?.name, "a");
    assert.equal(asked.length, 1);
  });

  it("tells of a function that cannot be run as it is, and does not serve what it was", async () => {
    const { clock, told, get } = cached();
    await get("a");
    told.answer = () => Promise.reject(new CallError("invalid_call"));
    clock.advance(limits.freshMs);

    await assert.rejects(get("a"), { code: "invalid_call" });
  });

  it("remembers as many as it may, and asks for no more than that at a time", async () => {
    const { asked, told, get } = cached();
    for (const key of ["a", "b", "c", "d"]) await get(key);
    await get("d");
    await get("a");
    assert.deepEqual(asked, ["a", "b", "c", "d", "a"]);

    told.answer = () => new Promise(() => {});
    for (const key of ["w", "x", "y"]) void get(key).catch(() => {});
    await assert.rejects(get("z"), away);
  });
});
