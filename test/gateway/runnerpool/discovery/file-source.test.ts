import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { systemClock } from "../../../../core/clock.ts";
import { createLog } from "../../../../core/log.ts";
import { fileSource } from "../../../../gateway/runnerpool/discovery/file-source.ts";
import { eventually } from "../../../../kiln/testing/eventually.ts";

const ONE = `runners:
  - address: 10.0.0.1:9190
    labels: { group: gpu }
`;

async function fileWith(t: TestContext, text: string) {
  const directory = await mkdtemp(join(tmpdir(), "kiln-runners-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "runners.yaml");
  await writeFile(path, text);
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  const options = { certName: "kiln-runner", clock: systemClock, log, pollMs: 5 };
  return { path, lines, open: () => fileSource(path, options) };
}

describe("fileSource", () => {
  it("follows the file, which may be JSON", async (t) => {
    const { path, open } = await fileWith(t, ONE);
    await using source = await open();
    assert.deepEqual(source.runners, [
      { address: "10.0.0.1:9190", certCommonName: "kiln-runner", labels: { group: "gpu" } },
    ]);
    let told = 0;
    source.onChange(() => (told += 1));

    await writeFile(path, JSON.stringify({ runners: [{ address: "b:1", certName: "b" }, { address: "c:1" }] }));

    await eventually(() =>
      assert.deepEqual(
        source.runners.map(({ address, certCommonName }) => [address, certCommonName]),
        [
          ["b:1", "b"],
          ["c:1", "kiln-runner"],
        ],
      ),
    );
    assert.equal(told, 1);
  });

  it("keeps its last good version while it is broken, and says which line is wrong", async (t) => {
    const { path, lines, open } = await fileWith(t, ONE);
    await using source = await open();

    await writeFile(path, "runners:\n  - adress: 10.0.0.1:9190\n");

    await eventually(() => assert.match(lines.join(""), /runners.yaml:2: runners\[0\].adress is not a field/));
    assert.match(lines.join(""), /did you mean \\"address\\"/);
    assert.equal(source.runners.length, 1);
  });

  it("stops the start with what is wrong", async (t) => {
    const { open } = await fileWith(t, "runners: [{ address: nowhere }]");

    await assert.rejects(open(), /runners\[0\].address is "nowhere", expected host:port/);
  });
});
