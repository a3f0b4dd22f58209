import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";

import type { Docker } from "../runner/driver/docker/engine.ts";

export interface CreatedContainer {
  /** Of its creation, from the daemon's first step to its last; milliseconds. */
  readonly createMs: number;
  readonly network: string;
}

interface CreateEvent {
  readonly timeNano: number;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}

/**
 * The last container that one runner made for a function, as the daemon tells of it afterwards: whoever listened meanwhile
 * would share the processors with what is measured.
 * @param since - milliseconds since 1970
 */
export async function lastCreated(docker: Docker, runnerId: string, since: number): Promise<CreatedContainer> {
  const filters = JSON.stringify({ label: [`kiln.runner=${runnerId}`], type: ["container"], event: ["create"] });
  const span = { since: since / 1_000, until: Date.now() / 1_000 };
  const created = (await text((await docker.getEvents({ ...span, filters })) as Readable))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as CreateEvent)
    .findLast(({ Actor: { Attributes } }) => !("kiln.prefork" in Attributes));
  if (created === undefined) throw new Error("Docker told of no container's creation");
  const { Created: begun, HostConfig } = await docker.getContainer(created.Actor.ID).inspect();
  return { createMs: created.timeNano / 1e6 - epochMs(begun), network: HostConfig.NetworkMode ?? "" };
}

/** Of the daemon's times, which have nanoseconds: `Date` has none. */
function epochMs(time: string): number {
  const [, whole = "", fraction = "0"] = /^(.*?)(\.\d+)?Z$/.exec(time) ?? [];
  return Date.parse(`${whole}Z`) + Number(fraction) * 1_000;
}
