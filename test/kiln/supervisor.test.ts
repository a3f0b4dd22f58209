import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { eventually } from "../../kiln/testing/eventually.ts";

const script = join(import.meta.dirname, "../../kiln/testing/supervise-fakes.ts");

let directory = "";
let count = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "kiln-supervisor-"));
});
after(() => rm(directory, { recursive: true }));

interface Supervised extends AsyncDisposable {
  readonly process: ChildProcess;
  /** What happened to the children, in order. */
  readonly events: () => Promise<readonly string[]>;
  readonly pid: (name: string) => Promise<number>;
  readonly output: () => string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** Supervises a runner and then a gateway, in a process group of its own as a terminal has it. */
async function supervised(runner = "runner", gateway = "gateway"): Promise<Supervised> {
  const log = join(directory, `log-${count++}`);
  const child = spawn(process.execPath, [...process.execArgv, script, runner, gateway], {
    env: { ...process.env, FAKE_LOG: log },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const events = async () => (await readFile(log, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
  const ended = once(child, "exit").then(([code, signal]) => (code ?? signal) as number | string);
  const pid = async (name: string) => {
    const line = (await events()).find((each) => each.startsWith(`${name} started`));
    return Number(line?.split(" ")[2] ?? NaN);
  };
  return {
    process: child,
    pid,
    events: async () => (await events()).map((line) => line.replace(/ \d+$/, "")),
    output: () => output,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      for (const name of ["runner", "gateway"]) killIfAlive(await pid(name));
    },
  };
}

function killIfAlive(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself, as it should.
  }
}

async function ready({ output }: Supervised): Promise<void> {
  await eventually(() => assert.match(output(), /^ready: /m));
}

const orderly = [
  "runner started",
  "gateway started",
  "gateway SIGTERM",
  "gateway ended",
  "runner SIGTERM",
  "runner ended",
];

describe("supervise", () => {
  it("starts one after the other, and says so once all are ready", async () => {
    await using kiln = await supervised();

    await ready(kiln);

    assert.match(kiln.output(), /^ready: 127\.0\.0\.1:runner 127\.0\.0\.1:gateway$/m);
    assert.match(kiln.output(), /^said before$/m);
    assert.deepEqual(await kiln.events(), ["runner started", "gateway started"]);
  });

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it(`ends them in the opposite order, each after the other, on ${signal}`, async () => {
      await using kiln = await supervised();
      await ready(kiln);

      kiln.process.kill(signal);

      assert.equal(await kiln.ended, 0, kiln.output());
      assert.deepEqual(await kiln.events(), orderly);
    });
  }

  it("keeps the order when a terminal's Ctrl-C reaches everything in its process group", async () => {
    await using kiln = await supervised();
    await ready(kiln);

    process.kill(-(kiln.process.pid ?? NaN), "SIGINT");

    assert.equal(await kiln.ended, 0, kiln.output());
    assert.deepEqual(await kiln.events(), orderly);
  });

  it("takes one Ctrl-C that arrives twice, as below npm, for one", async () => {
    await using kiln = await supervised("runner", "gateway,slow");
    await ready(kiln);

    kiln.process.kill("SIGINT");
    kiln.process.kill("SIGINT");
    await eventually(async () => assert.ok((await kiln.events()).includes("gateway SIGTERM")));
    await new Promise((resolve) => setTimeout(resolve, 100));

    assert.deepEqual(await kiln.events(), ["runner started", "gateway started", "gateway SIGTERM"]);
  });

  it("tells the one that is ending a second time when asked again", async () => {
    await using kiln = await supervised("runner", "gateway,slow");
    await ready(kiln);

    kiln.process.kill("SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 350));
    kiln.process.kill("SIGINT");

    assert.equal(await kiln.ended, 0, kiln.output());
    assert.deepEqual((await kiln.events()).slice(0, 5), orderly.toSpliced(2, 0, "gateway SIGTERM").slice(0, 5));
    assert.equal((await kiln.events()).at(-1), "runner ended");
  });

  it("kills one that does not end in time, and then ends the other", async () => {
    await using kiln = await supervised("runner", "gateway,deaf");
    await ready(kiln);

    kiln.process.kill("SIGTERM");

    assert.equal(await kiln.ended, 1);
    assert.match(
      kiln.output(),
      /^The gateway did not end and was killed: what it left behind is removed at its next start$/m,
    );
    assert.deepEqual(await kiln.events(), orderly.toSpliced(3, 1));
  });

  it("says when one of them failed to end well", async () => {
    await using kiln = await supervised("runner,fail");
    await ready(kiln);

    kiln.process.kill("SIGTERM");

    assert.equal(await kiln.ended, 1);
    assert.match(kiln.output(), /^The runner ended with exit code 3: its own message is above$/m);
  });

  it("ends the gateway when the runner crashes, and the runner when the gateway does", async () => {
    await using first = await supervised();
    await using second = await supervised();
    await Promise.all([ready(first), ready(second)]);

    process.kill(await first.pid("runner"), "SIGKILL");
    process.kill(await second.pid("gateway"), "SIGKILL");

    assert.deepEqual(await Promise.all([first.ended, second.ended]), [1, 1]);
    assert.match(first.output(), /^The runner ended by SIGKILL$/m);
    assert.deepEqual((await first.events()).slice(2), ["gateway SIGTERM", "gateway ended"]);
    assert.match(second.output(), /^The gateway ended by SIGKILL$/m);
    assert.deepEqual((await second.events()).slice(2), ["runner SIGTERM", "runner ended"]);
  });

  it("does not go on when the first cannot start, and shows why", async () => {
    await using kiln = await supervised("runner,refuse");

    assert.equal(await kiln.ended, 1);
    assert.deepEqual(await kiln.events(), ["runner started"]);
    assert.match(
      kiln.output(),
      /^runner: the port is in use, set FN_PORT to another\nThe runner ended with exit code 1: its own/m,
    );
  });

  it("ends the first when the second cannot start", async () => {
    await using kiln = await supervised("runner", "gateway,refuse");

    assert.equal(await kiln.ended, 1);
    assert.deepEqual(await kiln.events(), ["runner started", "gateway started", "runner SIGTERM", "runner ended"]);
    assert.match(kiln.output(), /^gateway: the port is in use, set FN_PORT to another$/m);
  });

  it("ends what it has when it is asked to in the middle of a start", async () => {
    await using kiln = await supervised("runner", "gateway,mute");
    await eventually(async () => assert.ok((await kiln.events()).includes("gateway started")));

    kiln.process.kill("SIGINT");

    assert.equal(await kiln.ended, 0, kiln.output());
    assert.deepEqual((await kiln.events()).slice(-2), ["runner SIGTERM", "runner ended"]);
  });

  it("lets the children notice when it is killed itself", async () => {
    await using kiln = await supervised();
    await ready(kiln);

    kiln.process.kill("SIGKILL");

    assert.equal(await kiln.ended, "SIGKILL");
    await eventually(async () => {
      const events = await kiln.events();
      assert.deepEqual(events.toSorted(), [
        "gateway disconnect",
        "gateway ended",
        "gateway started",
        "runner disconnect",
        "runner ended",
        "runner started",
      ]);
    });
  });
});
