import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ContainerPlace, DriverHook } from "../../../runner/driver/driver.ts";
import { taskFor } from "../task-for.ts";
import { driverBench } from "./driver-bench.ts";
import type { DriverSubject } from "./driver-subject.ts";

export function describeStarts<Options>(subject: DriverSubject<Options>): void {
  describe("a start", () => {
    it("is refused for an image that is nowhere", async () => {
      // Nobody listens there, so that a driver that would pull it is refused at once.
      const task = { ...taskFor("hello"), image: "localhost:1/nobody:latest" };

      const prepared = subject.bench.driver.prepare(task, { registryToken: "" }, AbortSignal.timeout(10_000));

      await assert.rejects(prepared, { name: "CallError", code: subject.traits.unknownImage, message: /nobody/ });
    });

    it("does nothing once its signal is aborted", async () => {
      const seen: ContainerPlace[] = [];
      const signal = AbortSignal.abort();

      await assert.rejects(
        subject.bench.start(taskFor("hello"), { hooks: [withSignal(signal)], place: (place) => seen.push(place) }),
      );

      assert.deepEqual(await leftovers(subject, seen), []);
    });

    it("leaves nothing when its signal aborts midway", async () => {
      const seen: ContainerPlace[] = [];
      const stop = new AbortController();
      const midway: DriverHook<Options> = {
        start: (next) => (start) => {
          const started = next(start, stop.signal);
          stop.abort();
          return started;
        },
      };

      await assert.rejects(
        subject.bench.start(taskFor("hello"), { hooks: [midway], place: (place) => seen.push(place) }),
      );

      assert.deepEqual(await leftovers(subject, seen), []);
    });

    it("leaves nothing when the driver is disposed of midway, and is refused after", async () => {
      const seen: ContainerPlace[] = [];
      const how = { place: (place: ContainerPlace) => seen.push(place) };
      await using bench = await driverBench(await subject.make());
      await using _running = await bench.start(taskFor("hello"), how);
      const midway = bench.start(taskFor("hello"), how).catch(() => undefined);

      await bench.driver[Symbol.asyncDispose]();
      await (await midway)?.[Symbol.asyncDispose]();

      assert.deepEqual(await leftovers(subject, seen), []);
      await assert.rejects(bench.start(taskFor("hello"), how), { name: "CallError" });
    });
  });
}

/** Replaces the signal the driver is started with. */
function withSignal<Options>(signal: AbortSignal): DriverHook<Options> {
  return { start: (next) => (start) => next(start, signal) };
}

async function leftovers<Options>(
  { traits }: DriverSubject<Options>,
  places: readonly ContainerPlace[],
): Promise<readonly string[]> {
  assert.ok(places.length > 0, "the start came far enough to leave something");
  return (await Promise.all(places.map((place) => traits.leftovers(place)))).flat();
}
