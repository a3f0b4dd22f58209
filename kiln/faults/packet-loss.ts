import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import { pause, systemClock } from "../../core/clock.ts";
import { pkiFiles, writePki } from "../pki-files.ts";
import { createAuthority, issue } from "../pki.ts";
import { countRuns, type LoadReport } from "../testing/load.ts";
import { probeFunctions } from "../testing/probe-calls.ts";
import { twoMachines, type Machine } from "../testing/two-machines.ts";
import type { FaultOptions, FaultReport } from "./fault-run.ts";

const DELAY_MS = 10;
const LOST = "0.05";
/** How long nothing at all goes through, and how long between two such times. */
const SILENCE_MS = 1_500;
const CALM_MS = 3_000;

const sleep = (ms: number) => pause(systemClock, ms);

/** A gateway and a runner in network namespaces: every byte late, packets lost, and nothing at all for a while. */
export async function packetLoss({ seconds, clients }: FaultOptions): Promise<FaultReport> {
  await using made = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "kiln-loss-"));
  made.defer(() => rm(directory, { recursive: true, force: true }));
  const counted = join(directory, "runs");
  const machines = made.use(await twoMachines());
  const authority = await createAuthority();
  const environment = async (role: "gateway" | "runner") => {
    const name = `kiln-${role}`;
    await writePki(directory, name, await issue(authority, { name, role }));
    const { cert, key, ca } = pkiFiles(directory, name);
    const fast = { FN_PING_MSECS: "500", FN_PING_TIMEOUT_MSECS: "1000", FN_LOG_LEVEL: "warn" };
    return { FN_NODE_CERT: cert, FN_NODE_CERT_KEY: key, FN_NODE_CERT_AUTHORITY: ca, ...fast };
  };
  await writeFile(join(directory, "functions.yaml"), probeFunctions({ probe: { memory: 64 } }));
  const node = [process.execPath, ...process.execArgv].map((word) => `'${word}'`).join(" ");
  const runnerAt = `${machines.runner.address}:9190`;
  made.use(
    await machines.runner.start(`mkdir -p '${counted}' && exec ${node} runner/main.ts`, {
      ...(await environment("runner")),
      FN_BIND: machines.runner.address,
      FN_DRIVER: "process",
      FN_IOFS_PATH: directory,
      FN_MAX_TOTAL_MEMORY_BYTES: String(4 * 64 * 2 ** 20),
    }),
  );
  const near = "127.0.0.1:9191";
  made.use(await machines.gateway.start(`exec ${node} kiln/testing/slow-wire.ts ${near} ${runnerAt} ${DELAY_MS}`));
  made.use(
    await machines.gateway.start(`exec ${node} gateway/main.ts`, {
      ...(await environment("gateway")),
      FN_RUNNER_ADDRESSES: `kiln-runner=${near}`,
      FN_FUNCTIONS_FILE: join(directory, "functions.yaml"),
    }),
  );
  const rule = ["INPUT", "-i", "veth0", "-m", "statistic", "--mode", "random", "--probability"];
  for (const machine of [machines.gateway, machines.runner]) {
    await machine.exec("iptables", "-A", ...rule, LOST, "-j", "DROP");
  }
  const orders = JSON.stringify({ echo: true, declareLength: true, countDir: counted, sleepTime: 20 });
  const load = loadIn(machines.gateway, ["127.0.0.1:8080", "probe", String(clients), orders, String(seconds)]);
  const silences = silence(machines.runner, seconds);
  const report = await load;
  await silences;
  const { calls: ran, twice: ranTwice } = await countRuns(counted);
  return { ...report, ran, ranTwice };
}

async function loadIn(machine: Machine, args: readonly string[]): Promise<LoadReport> {
  const printed = await machine.exec(process.execPath, ...process.execArgv, "kiln/testing/load-main.ts", ...args);
  return JSON.parse(printed) as LoadReport;
}

async function silence(machine: Machine, seconds: number): Promise<void> {
  const until = performance.now() + seconds * 1_000;
  const nothing = ["INPUT", "-i", "veth0", "-j", "DROP"];
  for (await sleep(CALM_MS / 2); performance.now() < until; await sleep(CALM_MS)) {
    await machine.exec("iptables", "-I", ...nothing);
    await sleep(SILENCE_MS);
    await machine.exec("iptables", "-D", ...nothing);
  }
}
