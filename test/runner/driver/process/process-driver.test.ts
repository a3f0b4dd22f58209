import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";

import type { ContainerTask } from "../../../../core/container-task.ts";
import { eventually } from "../../../../kiln/testing/eventually.ts";
import { processesOf } from "../../../../kiln/testing/processes-of.ts";
import { taskFor } from "../../../../kiln/testing/task-for.ts";
import { findNode } from "../../../../runner/driver/process/find-node.ts";
import { processDriver, type ProcessOptions } from "../../../../runner/driver/process/process-driver.ts";

let functions = "";
let held = new AsyncDisposableStack();

beforeEach(async () => {
  held = new AsyncDisposableStack();
  functions = await mkdtemp(join(tmpdir(), "kiln-process-"));
  held.defer(() => rm(functions, { recursive: true }));
});
afterEach(() => held.disposeAsync());

const place = () => ({ id: "kiln-1", socketDirectory: functions });
const task: ContainerTask = { ...taskFor("hello"), image: "shell" };
const signal = AbortSignal.timeout(30_000);

/** A function that is a shell script. */
async function shell(script: string): Promise<void> {
  await mkdir(join(functions, "shell"));
  await writeFile(join(functions, "shell", "func.yaml"), "entrypoint: ./func.sh\n");
  await writeFile(join(functions, "shell", "func.sh"), `#!/bin/sh\n${script}\n`);
  await chmod(join(functions, "shell", "func.sh"), 0o755);
}

async function start(change: (options: ProcessOptions) => void = () => {}) {
  const driver = held.use(processDriver({ functionsDirectory: functions }));
  const options = driver.options(task, place());
  change(options);
  return held.use(await driver.start({ task, place: place(), options }, signal));
}

describe("processDriver", { timeout: 60_000 }, () => {
  it("offers no isolation, and says so", () => {
    const driver = held.use(processDriver({ functionsDirectory: functions }));

    assert.equal(driver.isolation, "none");
  });

  it("makes fresh options, with the task's environment and nothing else", async () => {
    await shell("");
    const driver = held.use(processDriver({ functionsDirectory: functions }));

    const first = driver.options(task, place());
    first.env["EXTRA"] = "1";
    first.args.push("extra");
    const second = driver.options(task, place());

    const path = join(functions, "shell");
    const listener = `unix:${functions}/lsnr.sock`;
    assert.deepEqual(second, {
      command: "./func.sh",
      args: [],
      cwd: path,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: path, ...task.env, FN_LISTENER: listener },
    });
  });

  it("runs functions for Node with a Node, whatever runs Kiln", async () => {
    await shell("");
    await writeFile(join(functions, "shell", "func.yaml"), "entrypoint: node func.js\n");
    const driver = held.use(processDriver({ functionsDirectory: functions }));

    const { command, args } = driver.options(task, place());

    assert.equal(basename(command), "node");
    assert.deepEqual(args, ["func.js"]);
  });

  it("kills what the function started as well", async () => {
    await shell("sleep 1000 & sleep 1000 & wait");
    const container = await start();
    await eventually(async () => assert.equal((await processesOf(functions)).length, 3));

    await container[Symbol.asyncDispose]();

    await eventually(async () => assert.deepEqual(await processesOf(functions), []));
    assert.equal((await container.exited).exitCode, 137);
  });

  it("kills what the function left running when it ended by itself", async () => {
    await shell("echo bye >&2; sleep 1000 & exit 3");

    const container = await start();

    assert.deepEqual(await container.exited, { exitCode: 3, outOfMemory: false });
    assert.equal(container.stderrTail(), "bye\n");
    await eventually(async () => assert.deepEqual(await processesOf(functions), []));
  });

  it("tells of an end that a process outside of the group would hide", async () => {
    await shell("setsid sleep 1000 & sleep 0.1; exit 3");
    held.defer(async () => {
      for (const id of await processesOf(functions)) process.kill(id, "SIGKILL");
    });

    const container = await start();

    assert.equal((await container.exited).exitCode, 3);
    assert.equal((await processesOf(functions)).length, 1);
  });

  it("leaves no function behind when the runner is killed", async () => {
    await shell("sleep 1000 & sleep 1000");
    const module = import.meta.resolve("../../../../runner/driver/process/process-driver.ts");
    const script = `
      const { processDriver } = await import(${JSON.stringify(module)});
      const driver = processDriver({ functionsDirectory: ${JSON.stringify(functions)} });
      const task = ${JSON.stringify(task)};
      const place = ${JSON.stringify(place())};
      await driver.start({ task, place, options: driver.options(task, place) }, new AbortController().signal);
      process.stdout.write("started");
    `;
    const runner = spawn(findNode(), ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(runner.stdout, "data");
    await eventually(async () => assert.equal((await processesOf(`unix:${functions}/`)).length, 3));

    runner.kill("SIGKILL");

    await once(runner, "close");
    await eventually(async () => assert.deepEqual(await processesOf(`unix:${functions}/`), []));
  });

  it("says which command cannot be started", async () => {
    await shell("");

    const started = start((options) => void (options.command = "./nobody"));

    await assert.rejects(started, { code: "container_init_failed", message: /cannot start "\.\/nobody" in "/ });
  });

  const broken: Record<string, { field: RegExp; change(options: ProcessOptions): void }> = {
    "a number in the environment": { field: /env\.PORT/, change: (options) => Object.assign(options.env, { PORT: 1 }) },
    "a name with =": { field: /env/, change: (options) => void (options.env["A=B"] = "c") },
    "a zero byte": { field: /args/, change: (options) => void options.args.push("a\0b") },
    "no command": { field: /command/, change: (options) => void (options.command = "") },
    "no environment": { field: /env/, change: (options) => Object.assign(options, { env: undefined }) },
    "another user": { field: /uid/, change: (options) => Object.assign(options, { uid: 0 }) },
    "a shell": { field: /shell/, change: (options) => Object.assign(options, { shell: true }) },
  };
  for (const [what, { field, change }] of Object.entries(broken)) {
    it(`refuses what a hook made of the options: ${what}`, async () => {
      await shell("");

      await assert.rejects(start(change), { code: "guard_refused", message: field });
    });
  }
});
