import { connect } from "node:net";

import { pause, systemClock } from "../../core/clock.ts";
import type { MainProcess } from "../testing/main-process.ts";
import { FAST_PINGS, faultSystem, portOf, type FaultOptions, type FaultReport, type FaultSystem } from "./fault-run.ts";
import { packetLoss } from "./packet-loss.ts";

export type Fault = (options: FaultOptions) => Promise<FaultReport>;

const sleep = (ms: number) => pause(systemClock, ms);
/** Before the first fault, and after the last one. */
const CALM_MS = 1_000;
/** How long a killed process stays away. */
const AWAY_MS = 300;
const BETWEEN_MS = 1_500;

/** Does something again and again for so long. */
async function repeatedly(seconds: number, round: (turn: number) => Promise<void>): Promise<void> {
  const until = performance.now() + seconds * 1_000;
  for (let turn = 0; performance.now() < until; turn++) {
    await round(turn);
    await sleep(BETWEEN_MS);
  }
}

async function startRunners(system: FaultSystem, count: number): Promise<MainProcess[]> {
  return await Promise.all(Array.from({ length: count }, (_, i) => system.runner(`runner-${i + 1}`)));
}

/** As FN_RUNNER_ADDRESSES has them. */
function listed(runners: readonly MainProcess[]): string[] {
  return runners.map(({ address }, i) => `runner-${i + 1}=${address}`);
}

/** kill -9 of one of so many runners at a time, each of which comes back. */
const killRunners =
  (count: number): Fault =>
  async ({ seconds, clients }) => {
    await using system = await faultSystem(clients);
    const runners = await startRunners(system, count);
    const gateway = await system.gateway(listed(runners));
    const load = system.load([gateway]);
    await sleep(CALM_MS);
    await repeatedly(seconds, async (turn) => {
      const at = turn % count;
      const victim = runners[at];
      if (victim === undefined) return;
      await victim.kill();
      await sleep(AWAY_MS);
      runners[at] = await system.runner(`runner-${at + 1}`, portOf(victim));
    });
    await sleep(CALM_MS);
    return await system.report(load);
  };

/** kill -9 of one of two gateways at a time. */
const killGateways: Fault = async ({ seconds, clients }) => {
  await using system = await faultSystem(clients);
  const runner = await system.runner("runner-1");
  const start = (port = "0") => system.gateway([`runner-1=${runner.address}`], { FN_PORT: port });
  const gateways = await Promise.all([start(), start()]);
  const load = system.load(gateways);
  await sleep(CALM_MS);
  await repeatedly(seconds, async (turn) => {
    const at = turn % 2;
    const victim = gateways[at];
    if (victim === undefined) return;
    await victim.kill();
    await sleep(AWAY_MS);
    gateways[at] = await start(portOf(victim));
  });
  await sleep(CALM_MS);
  return await system.report(load);
};

/** SIGSTOP of one of two runners. */
const stopRunner: Fault = async ({ seconds, clients }) => {
  await using system = await faultSystem(clients, FAST_PINGS);
  const runners = await startRunners(system, 2);
  const gateway = await system.gateway(listed(runners));
  const load = system.load([gateway]);
  await sleep(CALM_MS);
  runners[0]?.process.kill("SIGSTOP");
  await sleep(seconds * 1_000);
  runners[0]?.process.kill("SIGCONT");
  await sleep(CALM_MS);
  return await system.report(load);
};

const STUCK_READERS = 8;

/** Clients that ask for a lot and never read it, beside those that do. */
const stuckReaders: Fault = async ({ seconds, clients }) => {
  await using system = await faultSystem(clients);
  const runners = await startRunners(system, 3);
  const gateway = await system.gateway(listed(runners));
  const [host = "", port = ""] = gateway.address.split(":");
  const control = JSON.stringify({ outputBytes: 64 * 2 ** 20 });
  const head = `POST /invoke/probe HTTP/1.1\r\nHost: kiln\r\nProbe-Control: ${control}\r\nContent-Length: 0\r\n\r\n`;
  const readers = Array.from({ length: STUCK_READERS }, () => {
    const socket = connect({ host, port: Number(port) });
    socket.on("error", () => {});
    socket.write(head);
    return socket.pause();
  });
  const load = system.load([gateway]);
  await sleep(CALM_MS + seconds * 1_000);
  for (const reader of readers) reader.destroy();
  return await system.report(load);
};

/** What can befall a system, by name. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  "kill -9 the only runner, again and again": killRunners(1),
  "kill -9 one of three runners, again and again": killRunners(3),
  "kill -9 one of two gateways, again and again": killGateways,
  "SIGSTOP one of two runners": stopRunner,
  "drop and delay packets between the gateway's machine and the runner's": packetLoss,
  "eight readers that never read": stuckReaders,
};
