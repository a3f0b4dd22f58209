import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import { pause, systemClock } from "../core/clock.ts";
import type { Docker } from "../runner/driver/docker/engine.ts";

export interface StartEvents extends AsyncDisposable {
  /** The last container that was started. */
  last(): Promise<Started>;
}

export interface Started {
  readonly containerId: string;
  /** When it was created, milliseconds since 1970 by the daemon's clock. */
  readonly createdAt: number;
}

interface StartEvent {
  readonly Action: string;
  readonly timeNano: number;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

const LATE_MS = 5_000;

/** Listens to what the daemon says of one runner's containers, those of its functions. */
export async function watchStarts(docker: Docker, runnerId: string): Promise<StartEvents> {
  const filters = JSON.stringify({ label: [`kiln.runner=${runnerId}`], type: ["container"] });
  const stream = (await docker.getEvents({ filters })) as Readable;
  let createdAt = 0;
  let last: Started | undefined;
  createInterface(stream).on("line", (line) => {
    const { Action: action, timeNano, Actor: actor } = JSON.parse(line) as StartEvent;
    if ("kiln.prefork" in actor.Attributes) return;
    if (action === "create") createdAt = timeNano / 1e6;
    if (action === "start") last = { containerId: actor.ID, createdAt };
  });
  return {
    async last() {
      const end = performance.now() + LATE_MS;
      while (last === undefined && performance.now() < end) await pause(systemClock, 1);
      if (last === undefined) throw new Error("Docker told of no container's start");
      const taken = last;
      last = undefined;
      return taken;
    },
    async [Symbol.asyncDispose]() {
      stream.destroy();
    },
  };
}
