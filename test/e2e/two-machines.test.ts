import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { readmeCommand } from "../../kiln/testing/readme-command.ts";
import type { Spawned } from "../../kiln/testing/spawned.ts";
import {
  hasNetem,
  namespacesOrSkip,
  twoMachines,
  type Impairment,
  type TwoMachines,
} from "../../kiln/testing/two-machines.ts";

const run = promisify(execFile);
const skip = await namespacesOrSkip();

/** Sends the request so many times, one after the other; prints what came and how long each took. */
const CLIENT = `
  const [url, control, size, times] = process.argv.slice(1);
  const body = Buffer.alloc(Number(size), "x");
  for (let i = 0; i < Number(times); i += 1) {
    const begun = performance.now();
    const response = await fetch(url, { method: "POST", body, headers: { "Probe-Control": control } });
    const answer = Buffer.from(await response.arrayBuffer());
    console.log(JSON.stringify({ status: response.status, same: answer.equals(body), ms: performance.now() - begun }));
  }`;

interface Answer {
  readonly status: number;
  readonly same: boolean;
  readonly ms: number;
}

describe("a gateway and a runner on two machines", { skip }, () => {
  const made = new AsyncDisposableStack();
  let machines: TwoMachines;
  let directory = "";
  let netem = false;
  const inHere = (command: string) =>
    command.replaceAll(/\b(?:gateway|runner)-pki\b/g, (name) => join(directory, name));

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "kiln-two-"));
    made.defer(() => rm(directory, { recursive: true }));
    machines = made.use(await twoMachines());
    netem = await hasNetem();
    for (const role of ["gateway", "runner"]) {
      const command = await readmeCommand(`--role ${role}`);
      await run("bash", ["-c", inHere(command).replace("--ca ca", `--ca ${directory}/ca`)]);
    }
    const command = await readmeCommand("npm run -s runner");
    const env = { FN_DRIVER: "process", FN_IOFS_PATH: directory };
    made.use(await machines.runner.start(inHere(command), env));
  });
  after(() => made.disposeAsync());

  /** The README's gateway; on another port and with the runner elsewhere, where a test says so. */
  async function gateway(env: NodeJS.ProcessEnv = {}): Promise<Spawned> {
    let command = inHere(await readmeCommand("npm run -s gateway"));
    const { FN_RUNNER_ADDRESSES: runners, ...rest } = env;
    if (runners !== undefined) command = command.replace(/FN_RUNNER_ADDRESSES=\S+/, `FN_RUNNER_ADDRESSES=${runners}`);
    return machines.gateway.start(command, rest);
  }

  /** A gateway whose runner is far away: by the kernel's doing where it can, by a slow wire in front of it where not. */
  async function gatewayFarAway({ delayMs, lossPercent }: Impairment) {
    await using made = new AsyncDisposableStack();
    if (netem) {
      await machines.impair({ delayMs, lossPercent });
      made.defer(() => machines.impair({ delayMs: 0, lossPercent: 0 }));
      made.use(await gateway());
      return made.move();
    }
    for (const machine of [machines.gateway, machines.runner]) {
      if (lossPercent === 0) continue;
      const rule = ["INPUT", "-i", "veth0", "-m", "statistic", "--mode", "random", "--probability"];
      await machine.exec("iptables", "-A", ...rule, String(lossPercent / 100), "-j", "DROP");
      made.defer(async () => void (await machine.exec("iptables", "-F", "INPUT")));
    }
    const [near, far] = ["127.0.0.1:9191", `${machines.runner.address}:9190`];
    made.use(
      await machines.gateway.start(`exec '${process.execPath}' kiln/testing/slow-wire.ts ${near} ${far} ${delayMs}`),
    );
    made.use(await gateway({ FN_RUNNER_ADDRESSES: near }));
    return made.move();
  }

  const wire = () => (netem ? "netem" : "slow wire");

  async function packetsLost(): Promise<number> {
    const [command, ...args] = netem ? ["tc", "-s", "qdisc", "show", "dev", "veth0"] : ["iptables", "-nvxL", "INPUT"];
    const lost = netem ? /dropped (\d+)/ : /(\d+) +\d+ +DROP/;
    const shown = await Promise.all([machines.gateway, machines.runner].map((one) => one.exec(command ?? "", ...args)));
    return shown.reduce((sum, text) => sum + Number(lost.exec(text)?.[1]), 0);
  }

  async function invoke(fnId: string, { control = {}, size = 0, times = 1 } = {}): Promise<readonly Answer[]> {
    const url = `http://127.0.0.1:8080/invoke/${fnId}`;
    const args = ["--input-type=module", "-e", CLIENT, url, JSON.stringify(control), String(size), String(times)];
    const printed = await machines.gateway.exec(process.execPath, ...args);
    return printed
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Answer);
  }

  it("serve a call, started as the README shows", async () => {
    await using _gateway = await gateway();
    const shown = await readmeCommand("/invoke/hello");

    const printed = await machines.gateway.exec("bash", "-c", `${shown} --silent`);

    assert.equal(printed, '{"message":"Hello, you"}');
  });

  it("serve calls over a line with 20 ms of delay that loses every fiftieth packet", async (t) => {
    await using _far = await gatewayFarAway({ delayMs: 20, lossPercent: 2 });

    const answers = await invoke("probe", { control: { echo: true }, size: 100_000, times: 40 });

    assert.deepEqual(
      answers.filter(({ status, same }) => status !== 200 || !same),
      [],
    );
    const slowest = Math.max(...answers.slice(1).map(({ ms }) => ms));
    assert.ok(
      answers.every(({ ms }) => ms >= 40),
      "the delay is there",
    );
    const lost = await packetsLost();
    assert.ok(lost > 0, "packets were lost");
    t.diagnostic(`${wire()}: ${lost} packets lost, slowest of 39 warm calls ${slowest.toFixed(0)} ms`);
  });

  it("fill the line: 1 MiB each way at 10 ms of round trip", async (t) => {
    await using _far = await gatewayFarAway({ delayMs: 5, lossPercent: 0 });

    const answers = await invoke("probe", { control: { echo: true }, size: 1_048_576, times: 11 });

    assert.ok(answers.every(({ status, same }) => status === 200 && same));
    const warm = answers
      .slice(1)
      .map(({ ms }) => ms)
      .sort((a, b) => a - b);
    const median = warm[5] ?? Infinity;
    t.diagnostic(`${wire()}: median ${median.toFixed(0)} ms, ${(1_048.576 / median).toFixed(1)} MB/s each way`);
    // A window of 64 KiB takes 16 round trips each way: 160 ms at the least, and more where both are one after the other.
    assert.ok(median < 1_000, `${median} ms`);
  });
});
