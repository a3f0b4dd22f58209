import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { silentLog } from "../../core/log.ts";
import { createPlacer } from "../../gateway/runnerpool/placers/create-placer.ts";
import { linesFile } from "../../gateway/runnerpool/placers/lines-file.ts";
import type { PlacementLine } from "../../gateway/runnerpool/placers/placement-log.ts";
import { createFleet } from "../../kiln/fleet/fleet.ts";
import { parsePlacements } from "../../kiln/replay/placements.ts";
import { recorded, replay, replayWith } from "../../kiln/replay/replay.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { VirtualClock } from "../../kiln/testing/virtual-clock.ts";

/** What a fleet with the naive placer notes of forty calls of four functions, one after the other. */
async function naiveLog(): Promise<string> {
  const clock = new VirtualClock();
  const lines: PlacementLine[] = [];
  const timeouts = { timeoutMs: 30_000, detachedTimeoutMs: 30_000, retryDelayMs: 10 };
  let turn = 0;
  const random = () => (turn++ % 3) / 3;
  const fn = {
    async handler(request: { sleep(ms: number): Promise<void> }) {
      await request.sleep(20);
      return "";
    },
  };
  const start = () => ({ startMs: 200 });
  await using fleet = await createFleet({
    clock,
    runners: 3,
    functions: Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, { ...fn, start }])),
    placer: createPlacer({ placer: "naive", clock, random, log: (line) => void lines.push(line), ...timeouts }),
  });
  for (let i = 0; i < 40; i++) assert.equal((await fleet.call(["a", "b", "c", "d"][i % 4] ?? "")).status, 200);
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

async function directoryFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-replay-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

describe("kiln replay", () => {
  it("finds what the placer of a log would do again, and that another would start fewer containers", async () => {
    const log = parsePlacements(await naiveLog(), "log");

    const [naive, warm] = [await replayWith("naive", log), await replayWith("warm-first", log)];

    assert.deepEqual([log.calls.length, log.runners, log.placer, log.startMs], [40, 3, "naive", 200]);
    assert.equal(recorded(log).coldStarts, 12, "each runner starts each function");
    assert.equal(warm.coldStarts, 4);
    assert.ok(naive.coldStarts > 8, `${naive.coldStarts}`);
    assert.equal(naive.failed + warm.failed, 0);
  });

  it("prints cold starts, waits and spread of each, and what it takes for granted", async (t) => {
    const path = join(await directoryFor(t), "placements.jsonl");
    await writeFile(path, await naiveLog());
    let printed = "";

    await replay([path, "--placer", "warm-first"], (text) => void (printed += text));

    assert.match(printed, /^40 calls in \d+ s on 3 runners$/m);
    assert.match(printed, /^as recorded +12 +\d+ ms +\d+ ms +1[34] to 1[34] +0$/m);
    assert.match(printed, /^warm-first, replayed +4 +\d+ ms +\d+ ms +\d+ to \d+ +0$/m);
    assert.match(printed, /every start takes 200 ms/);
  });

  it("says which line is none", () => {
    assert.throws(() => parsePlacements("{}\n", "log.jsonl"), /log.jsonl:1: this is no line of a placement log/);
    assert.throws(() => parsePlacements("", "log.jsonl"), /it has no call that ended/);
  });
});

describe("linesFile", () => {
  it("begins another file once one is full, and keeps the one before", async (t) => {
    const path = join(await directoryFor(t), "lines.jsonl");
    {
      await using file = linesFile(path, { log: silentLog, largestBytes: 1_000 });
      await eventually(async () => void (await stat(path)));
      for (let i = 0; i < 100; i++) {
        file.write({ number: i });
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const texts = [await readFile(`${path}.1`, "utf8"), await readFile(path, "utf8")];
    assert.ok(texts.every((text) => text.length <= 1_020));
    assert.match(texts[1] ?? "", /\{"number":99\}\n$/);
  });
});
