import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { createLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import type { Installation } from "../../runner/driver/docker/container-options.ts";
import type { Docker } from "../../runner/driver/docker/engine.ts";
import { ensurePauseImage, PAUSE_COMMAND } from "../../runner/driver/docker/prefork/pause-image.ts";
import {
  type NamespaceLease,
  openPrefork,
  type Prefork,
  type PreforkOptions,
} from "../../runner/driver/docker/prefork/prefork.ts";
import { engineClient } from "./engine-client.ts";
import { eventually } from "./eventually.ts";

/** A prefork pool on a real daemon, with a look behind it. Disposing it removes its holders. */
export interface PreforkBench extends AsyncDisposable {
  readonly prefork: Prefork;
  readonly installation: Installation;
  /** What it logged. */
  readonly lines: readonly string[];
  /** The value of one time series, as `fn_prefork_takes{outcome="empty"}`. */
  metric(series: string): number;
  holders(): Promise<readonly HolderFacts[]>;
  /** Waits until so many are free. */
  ready(free: number): Promise<void>;
  /** The next free holder, once there is one. */
  take(): Promise<NamespaceLease>;
}

export interface HolderFacts {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly network: string;
}

export function preforkBench(docker: Docker, options: Partial<PreforkOptions> = {}): PreforkBench {
  const installation = {
    id: `prefork-${randomBytes(6).toString("hex")}`,
    runnerId: "r1",
    bootId: randomBytes(4).toString("hex"),
  };
  const lines: string[] = [];
  const metrics = createMetrics();
  const log = createLog({ level: "debug", write: (line) => void lines.push(line) });
  const program = async () => ({ image: await ensurePauseImage(engineClient(docker)), command: PAUSE_COMMAND });
  const prefork = openPrefork(
    { size: 1, useOnce: true, networks: [], program, ...options },
    { ...engineClient(docker), installation, log, metrics },
  );
  prefork.open();

  const metric = (series: string) => {
    const line = metrics
      .render()
      .split("\n")
      .find((each) => each.startsWith(`${series} `));
    return Number(line?.slice(series.length + 1) ?? 0);
  };
  return {
    prefork,
    installation,
    lines,
    metric,
    holders: () => holdersOf(docker, installation),
    ready: (free) =>
      eventually(() => assert.equal(metric('fn_prefork_holders{state="free"}'), free, lines.slice(-5).join(""))),
    async take() {
      let lease: NamespaceLease | undefined;
      await eventually(() => assert.ok((lease = prefork.take()) !== undefined, lines.slice(-5).join("")));
      assert.ok(lease !== undefined);
      return lease;
    },
    [Symbol.asyncDispose]: () => prefork[Symbol.asyncDispose](),
  };
}

/** All holders of one runner, whichever boot they are of. */
export async function holdersOf(docker: Docker, { id, runnerId }: Installation): Promise<readonly HolderFacts[]> {
  const label = [`kiln.installation=${id}`, `kiln.runner=${runnerId}`, "kiln.prefork=holder"];
  const found = await docker.listContainers({ all: true, filters: { label } });
  return found.map(({ Id, Names, State, HostConfig }) => ({
    id: Id,
    name: Names.join(),
    state: State,
    network: HostConfig.NetworkMode,
  }));
}
