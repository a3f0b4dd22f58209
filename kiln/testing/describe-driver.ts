import assert from "node:assert/strict";
import { after, before, describe } from "node:test";

import type { Driver } from "../../runner/driver/driver.ts";
import { type DriverBench, driverBench } from "./driver/driver-bench.ts";
import type { DriverSubject, DriverTraits } from "./driver/driver-subject.ts";
import { describeEndings } from "./driver/endings.ts";
import { describeFreezing } from "./driver/freezing.ts";
import { describeHooks } from "./driver/hooks.ts";
import { describeRunning } from "./driver/running.ts";
import { describeSandbox } from "./driver/sandbox.ts";
import { describeStarts } from "./driver/starts.ts";

export type { DriverTraits };

/** What every driver owes the runner, tried on the example functions: one suite for all drivers. */
export function describeDriver<Options>(
  name: string,
  make: () => Promise<Driver<Options>>,
  traits: DriverTraits<Options>,
): void {
  describe(`${name} driver`, { skip: traits.skip ?? false, timeout: 180_000 }, () => {
    let bench: DriverBench<Options> | undefined;
    const subject: DriverSubject<Options> = {
      traits,
      make,
      get bench() {
        assert.ok(bench !== undefined, "the bench is there once tests run");
        return bench;
      },
    };
    before(async () => {
      bench = await driverBench(await make());
    });
    after(() => bench?.[Symbol.asyncDispose]());

    describeRunning(subject);
    describeStarts(subject);
    describeEndings(subject);
    describeFreezing(subject);
    describeHooks(subject);
    if (traits.sandbox) describeSandbox(subject);
  });
}
