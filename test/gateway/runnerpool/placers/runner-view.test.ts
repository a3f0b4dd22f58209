import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RunnerView } from "../../../../gateway/runnerpool/placers/runner-view.ts";
import { needFor } from "../../../../kiln/testing/candidate-for.ts";
import { FakeRunner } from "../../../../kiln/testing/fake-runner.ts";

function viewOf(capacity: Parameters<FakeRunner["tell"]>[0]) {
  const runner = new FakeRunner("a");
  runner.tell(capacity);
  return { runner, view: new RunnerView(runner) };
}

describe("RunnerView", () => {
  it("takes off what is sent there, until the runner tells again", () => {
    const { runner, view } = viewOf({ freeMemoryMiB: 256, idle: { key: 1 } });
    const places: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      places.push(view.placeFor(needFor("key")));
      view.promise(needFor("key"));
    }
    assert.deepEqual(places, ["warm", "free", "free", undefined]);

    runner.tell({ freeMemoryMiB: 128, idle: {} });

    assert.equal(view.placeFor(needFor("key")), "free");
  });

  it("has a container's other slots for the next calls, once a call has the first", () => {
    const { view } = viewOf({ freeMemoryMiB: 0, idle: { key: 1 } });
    const need = needFor("key", { concurrency: 3 });
    const places: unknown[] = [];

    for (let i = 0; i < 4; i++) {
      places.push(view.placeFor(need));
      view.promise(need);
    }

    assert.deepEqual(places, ["warm", "warm", "warm", undefined]);
  });

  it("has the other slots of a container that is started for a call, unless the call was refused", () => {
    const { view } = viewOf({ freeMemoryMiB: 128 });
    const need = needFor("key", { concurrency: 3 });

    view.promise(need);
    assert.deepEqual([view.placeFor(need), view.idle("key")], ["warm", 2]);
    view.refused("key", view.version);

    assert.equal(view.placeFor(need), undefined);
  });

  it("believes what the runner tells after it refused, however late the refusal is heard of", () => {
    const { runner, view } = viewOf({ idle: { key: 1 } });
    const { version } = view;
    view.promise(needFor("key"));
    runner.tell({ idle: { key: 1 } });

    view.refused("key", version);

    assert.equal(view.placeFor(needFor("key")), "warm");
  });

  it("counts the container of a call that ended, before the runner tells of it", () => {
    const { view } = viewOf({ freeMemoryMiB: 0 });

    view.returned("key", 1);

    assert.equal(view.placeFor(needFor("key")), "warm");
    assert.equal(view.placeFor(needFor("other")), "evict");
    view.promise(needFor("other"));
    assert.equal(view.placeFor(needFor("other")), undefined);
  });

  it("takes the slots of one container for no idle container of another function", () => {
    const { view } = viewOf({ freeMemoryMiB: 0, idle: { key: 1, other: 1 } });
    const need = needFor("key", { concurrency: 3 });

    for (let i = 0; i < 3; i++) view.promise(need);
    assert.equal(view.placeFor(needFor("third")), "evict");
    for (let i = 0; i < 2; i++) view.returned("key", 3);
    view.promise(needFor("third"));

    assert.equal(view.placeFor(needFor("third")), undefined, "a container that still runs a call is not idle");
  });

  it("offers the place of an idle container of another function, and none to what can never fit", () => {
    const { view } = viewOf({ freeMemoryMiB: 0, idle: { other: 1 } });

    assert.equal(view.placeFor(needFor("key")), "evict");
    assert.equal(view.placeFor(needFor("key", { memoryMiB: 2_000 })), undefined);
  });

  it("has another version after each thing that may have made room, and after no other", () => {
    const { runner, view } = viewOf({});
    const first = view.version;
    view.promise(needFor("key"));
    assert.equal(view.version, first);

    runner.tell();
    const second = view.version;
    view.returned("key", 1);

    assert.ok(second > first && view.version > second);
  });
});
