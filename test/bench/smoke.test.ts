import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";

import { dockerOrSkip } from "../../kiln/testing/docker.ts";

const { skip } = await dockerOrSkip();
const run = promisify(execFile);

/** Rows of the tables that a run prints as Markdown, by their cells. */
async function bench(...args: readonly string[]): Promise<readonly (readonly string[])[]> {
  const { stdout } = await run(process.execPath, [...process.execArgv, "bench/main.ts", "--markdown", ...args]);
  assert.match(stdout, /^Machine: .*\nCommand: npm run bench -- --markdown /);
  const lines = stdout.split("\n").filter((line) => line.startsWith("| "));
  return lines.map((line) => line.slice(2, -2).split(" | "));
}

const SPREAD = /^\d+(\.\d+)? \(\d+(\.\d+)?\.\.\d+(\.\d+)?\)$/;

// How fast it is, is for nobody to assert on a machine that others use; that it still measures, is.
describe("npm run bench", { timeout: 400_000 }, () => {
  it("measures warm calls with both of their bounds", async () => {
    const rows = await bench("--only", "warm", "--rounds", "1", "--clients", "1,2", "--seconds", "0.2");

    const [head = [], , ...others] = rows;
    assert.deepEqual(head.slice(0, 4), ["clients", "what", "gateway µs", "runner µs"]);
    const figures = others.slice(0, 8);
    assert.deepEqual(
      figures.map(([clients, what]) => `${clients} ${what}`),
      ["function alone", "bare program", "Connect unary", "Kiln"]
        .flatMap((what) => [`1 ${what}`, `2 ${what}`])
        .sort(byClients),
    );
    for (const [, what, ...cells] of figures) {
      const missing = what === "function alone" ? 3 : 0;
      assert.ok(
        cells.slice(missing).every((cell) => SPREAD.test(cell)),
        `${what}: ${cells.join(" | ")}`,
      );
    }
    const budgets = others.slice(8).filter(([, , limit = ""]) => /^[≤≥]/.test(limit));
    assert.deepEqual(
      budgets.map(([what]) => what),
      ["CPU of gateway and runner, 1 client", "p50, 1 client", "CPU of gateway and runner, 2 clients"],
    );
    for (const [, measured = "", , verdict = ""] of budgets)
      assert.match(`${measured} ${verdict}`, /^\d+\.\d\d (met|missed)$/);
  });

  it("measures bodies in both directions", async () => {
    const rows = await bench("--only", "bodies", "--rounds", "1", "--seconds", "0.1");

    assert.equal(rows.length, 2 * (2 + 2 * 3 * 3) + 2 + 4);
  });

  it("measures one large body and the memory it takes", async () => {
    const rows = await bench("--only", "gigabyte", "--bytes", "8000000");

    const [, , up = [], down = []] = rows;
    assert.deepEqual([up[0], down[0]], ["8 MB up", "8 MB down"]);
    assert.match(up[2] ?? "", /^\d+ → \d+$/);
  });

  it("measures cold starts by phase", { skip }, async () => {
    const rows = await bench("--only", "cold", "--rounds", "1", "--seconds", "0.1");

    const [head = []] = rows;
    const total = rows.find(([phase]) => phase === "total") ?? [];
    assert.deepEqual(head.slice(1), ["Docker alone", "Kiln", "Docker alone, joining", "Kiln with pool"]);
    assert.equal(total.length, head.length);
    assert.ok(
      total.slice(1).every((cell) => SPREAD.test(cell)),
      total.join(" | "),
    );
  });

  it("measures freezing beside the kernel's file and Docker's pause", { skip }, async () => {
    const [head = [], , freeze = [], thaw = []] = await bench("--only", "freeze", "--rounds", "1");

    assert.deepEqual(head.slice(1), ["kernel's file alone", "Kiln", "Docker's pause"]);
    for (const cells of [freeze, thaw])
      assert.ok(
        cells.slice(1).every((cell) => SPREAD.test(cell)),
        cells.join(" | "),
      );
  });

  it("says what it cannot read", async () => {
    await assert.rejects(
      run(process.execPath, ["bench/main.ts", "--only", "wrm"]),
      /Cannot measure "wrm": expected warm/,
    );
  });
});

function byClients(a: string, b: string): number {
  return Number(a.split(" ")[0]) - Number(b.split(" ")[0]);
}
