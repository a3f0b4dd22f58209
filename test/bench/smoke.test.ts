import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { dockerOrSkip } from "../../kiln/testing/docker.ts";

const { skip } = await dockerOrSkip();
const run = promisify(execFile);

type Row = readonly string[];
/** The rows of each table below its head, by the beginning of its title. */
type Tables = (title: string) => { readonly head: Row; readonly rows: readonly Row[] };

const NO_TABLES: Tables = () => assert.fail("not measured");

/** The smallest there is of everything: that it measures is shown here, not what. */
const LEAST = ["--rounds", "1", "--seconds", "0.05", "--clients", "1,2", "--bytes", "8000000", "--waiting", "50"];
const FEW = ["--functions", "20", "--runners", "3"];

function parse(stdout: string): Tables {
  assert.match(stdout, /^Machine: .*\nCommand: npm run bench -- --markdown /);
  const tables = stdout.split(/^\*\*/m).slice(1);
  return (title) => {
    const found = tables.find((table) => table.startsWith(title));
    assert.ok(found !== undefined, `no table "${title}" in:\n${stdout}`);
    const lines = found.split("\n").filter((line) => line.startsWith("| "));
    const [head = [], , ...rows] = lines.map((line) => line.slice(2, -2).split(" | "));
    return { head, rows };
  };
}

const SPREAD = /^\d+(\.\d+)? \(\d+(\.\d+)?\.\.\d+(\.\d+)?\)$/;

function areSpreads(cells: readonly string[]): void {
  assert.ok(cells.length > 0 && cells.every((cell) => SPREAD.test(cell)), cells.join(" | "));
}

/** What is measured for less than a tick of the kernel's clock may have taken none of it. */
function areBudgets(rows: readonly Row[], names: readonly string[]): void {
  assert.deepEqual(
    rows.map(([what]) => what),
    names,
  );
  for (const [, measured = "", limit = "", verdict = ""] of rows)
    assert.match(`${measured} ${limit} ${verdict}`, /^(-?\d+\.\d\d|NaN|Infinity) [≤≥] [\d.]+ (met|missed)$/);
}

// How fast it is, is for nobody to assert on a machine that others use; that it still measures, is.
describe("npm run bench", { timeout: 400_000 }, () => {
  let cache = "";
  let plain: Tables;
  let docker = NO_TABLES;
  let deno: Tables;
  // Side by side: much of what they do is waiting, for a start, a pause or a delayed line.
  before(async () => {
    cache = await mkdtemp(join(tmpdir(), "kiln-bench-smoke-"));
    [plain, docker, deno] = await Promise.all([
      bench(["warm", "concurrent", "waiting", "scale", "bodies"]),
      skip === false ? bench(["freezing", "cold", "freeze"]) : NO_TABLES,
      bench(["gigabyte"], "--gateway", "deno"),
    ]);
  });
  const ending = new AbortController();
  after(async () => {
    ending.abort();
    await rm(cache, { recursive: true, force: true });
  });

  /** Without tsx, and with what one process has compiled for the next: dozens of them are started. */
  async function bench(parts: readonly string[], ...args: readonly string[]): Promise<Tables> {
    const only = parts.flatMap((part) => ["--only", part]);
    const command = ["bench/main.ts", "--markdown", ...only, ...LEAST, ...FEW, ...args];
    const { stdout } = await run(process.execPath, command, {
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
      signal: ending.signal,
    });
    return parse(stdout);
  }

  it("measures warm calls with both of their bounds", () => {
    const { head, rows } = plain("Warm calls");
    const subjects = ["function alone", "bare program", "Connect unary", "Kiln"];
    assert.deepEqual(head.slice(0, 4), ["clients", "what", "gateway µs", "runner µs"]);
    assert.deepEqual(
      rows.map(([clients, what]) => `${clients} ${what}`),
      ["1", "2"].flatMap((clients) => subjects.map((what) => `${clients} ${what}`)),
    );
    for (const [, what, ...cells] of rows) areSpreads(cells.slice(what === "function alone" ? 3 : 0));
    areBudgets(plain("Kiln against the bare program").rows, [
      "CPU of gateway and runner, 1 client",
      "p50, 1 client",
      "CPU of gateway and runner, 2 clients",
    ]);
    assert.equal(plain("Resident memory").rows.length, 2);
  });

  it("measures calls that share a container", () => {
    const { rows } = plain("2 clients, one container that takes 2");
    assert.deepEqual(
      rows.map(([what]) => what),
      ["function alone", "bare program", "Kiln"],
    );
    areSpreads(rows.at(-1)?.slice(1) ?? []);
  });

  it("measures calls that wait, and a bare Hono that holds them", () => {
    const { rows } = plain("Calls that wait");
    assert.deepEqual(
      rows.map(([calls, what]) => `${calls} ${what}`),
      ["20 bare Hono", "20 Kiln", "50 bare Hono", "50 Kiln"],
    );
    areBudgets(plain("Waiting calls").rows, [
      "MB for 50 above bare Hono's",
      "% of a core, 50 waiting",
      "% of a core, 20 waiting",
    ]);
  });

  it("measures many functions and many runners beside few", () => {
    const { rows } = plain("Clients that go from function to function");
    const kiln = ["10 functions, 1 runner", "20 functions, 1 runner", "10 functions, 3 runners"];
    const bare = ["bare program, 10 functions, 1 runner", "bare program, 10 functions, 3 runners"];
    assert.deepEqual(
      rows.map(([clients, what]) => `${clients} ${what}`),
      ["1", "16"].flatMap((clients) => [...kiln, ...bare].map((what) => `${clients} ${what}`)),
    );
    for (const [, , ...cells] of rows) areSpreads(cells);
    const beside = plain("CPU of gateway and runner against few functions on one runner").rows;
    const isBound = ([what = ""]: Row) => what.startsWith("bare program");
    assert.deepEqual(
      beside.filter(isBound).map(([, , ...cells]) => cells),
      [
        ["", "bound"],
        ["", "bound"],
      ],
    );
    areBudgets(
      beside.filter((row) => !isBound(row)),
      ["1 client", "16 clients"].flatMap((clients) => kiln.slice(1).map((what) => `${what}, ${clients}`)),
    );
  });

  it("measures bodies in both directions, at both round trips", () => {
    for (const delay of [0, 10]) {
      const { rows } = plain(`Bodies, 4 clients, ${delay} ms`);
      assert.equal(rows.length, 2 * 3 * 3);
      for (const [, , throughput = ""] of rows) assert.match(throughput, SPREAD);
    }
    assert.equal(plain("Kiln against a bare pipe").rows.length, 4);
  });

  it("measures one large body and the memory it takes, with the gateway on Deno", () => {
    const { rows } = deno("One body");

    const [up = [], down = []] = rows;
    assert.deepEqual([up[0], down[0]], ["8 MB up", "8 MB down"]);
    assert.match(up[2] ?? "", /^\d+ → \d+$/);
  });

  describe("with Docker", { skip }, () => {
    it("measures a load with freezing and without", () => {
      const { rows } = docker("2 clients, a container for each");
      assert.deepEqual(
        rows.map(([what]) => what),
        ["freezing off", "freezing on"],
      );
      for (const [, gateway = "", runner = ""] of rows) areSpreads([gateway, runner]);
    });

    it("measures cold starts by phase", () => {
      for (const kind of ["static", "Node"]) {
        const { head, rows } = docker(`Cold starts of a ${kind} function`);
        const total = rows.find(([phase]) => phase === "total") ?? [];
        assert.deepEqual(head.slice(1), ["Docker alone", "Kiln", "Docker alone, joining", "Kiln with pool"]);
        assert.equal(total.length, head.length);
        areSpreads(total.slice(1));
      }
    });

    it("measures freezing beside the kernel's file and Docker's pause", () => {
      const { head, rows } = docker("Freezing an idle container");
      assert.deepEqual(head.slice(1), ["kernel's file alone", "Kiln", "Docker's pause"]);
      assert.equal(rows.length, 2);
      for (const [, ...cells] of rows) areSpreads(cells);
    });
  });

  it("says what it cannot read", async () => {
    await assert.rejects(
      run(process.execPath, ["bench/main.ts", "--only", "wrm"]),
      /Cannot measure "wrm": expected warm/,
    );
  });
});
