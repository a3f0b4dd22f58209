import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { Farewells } from "../../../runner/rpc/farewells.ts";

const LIMITS = { silentMs: 100, answerMs: 1_000 };
const never = new AbortController().signal;
const session = (bodies: number) => ({ held: { calls: 0, bodies, windowBytes: 0 } });

/** When the last word of all was no longer waited for, milliseconds after the runner had drained. */
async function waited(
  ask: (farewells: Farewells, clock: VirtualClock) => void,
  hurried: AbortSignal = never,
): Promise<number> {
  const clock = new VirtualClock();
  const farewells = new Farewells(clock);
  ask(farewells, clock);
  let ms = -1;
  void farewells.allSaid(LIMITS, hurried).then(() => (ms = clock.now()));
  await clock.run(5_000);
  return ms;
}

describe("the last words of a runner's gateways", () => {
  it("are waited for until all have said them", async () => {
    assert.equal(await waited(() => {}), 0);
    const ms = await waited((farewells, clock) => {
      const [one, two] = [farewells.expect(session(0)), farewells.expect(session(0))];
      clock.after(20, one);
      clock.after(70, two);
    });
    assert.equal(ms, 70);
  });

  it("are not waited for longer than a gateway has for a ping, or for the end of an answer", async () => {
    assert.equal(await waited((farewells) => void farewells.expect(session(0))), 100);
    assert.equal(await waited((farewells) => void farewells.expect(session(1))), 1_000);
  });

  it("are not waited for by a runner in a hurry", async () => {
    assert.equal(await waited((farewells) => void farewells.expect(session(1)), AbortSignal.abort()), 0);
  });
});
