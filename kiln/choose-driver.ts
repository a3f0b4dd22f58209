import { access, constants } from "node:fs/promises";

import type { Environment } from "../core/config.ts";
import { connectEngine, type Docker, pingEngine } from "../runner/driver/docker/engine.ts";
import { RUNNER_SETTINGS } from "../runner/settings.ts";
import { hasCode } from "./file-errors.ts";

export type DriverChoice =
  | { readonly driver: "docker"; readonly docker: Docker; readonly sentence: string }
  | { readonly driver: "process"; readonly sentence: string };

const PING_MS = 3_000;

/** The driver that `FN_DRIVER` names, or else Docker where it answers. @throws Error if it is to be Docker and that does not */
export async function chooseDriver(env: Environment): Promise<DriverChoice> {
  const wanted = env["FN_DRIVER"] ?? "";
  if (!["", "docker", "process"].includes(wanted))
    throw new Error(`FN_DRIVER is "${wanted}", expected docker or process`);
  if (wanted === "process") {
    return { driver: "process", sentence: "Functions run as plain processes without isolation, as FN_DRIVER says." };
  }
  const host = env["DOCKER_HOST"] || RUNNER_SETTINGS.DOCKER_HOST.fallback;
  const docker = connectEngine({ host });
  const version = await pingEngine(docker, PING_MS);
  if (version !== undefined) {
    return { driver: "docker", docker, sentence: `Functions run in containers of Docker ${version}.` };
  }
  const reason = await whyNoAnswer(host);
  if (wanted === "docker") throw new Error(`FN_DRIVER is docker, and ${reason}`);
  return { driver: "process", sentence: `Functions run as plain processes without isolation, since ${reason}.` };
}

async function whyNoAnswer(host: string): Promise<string> {
  const path = host.startsWith("unix://") ? host.slice("unix://".length) : undefined;
  if (path !== undefined) {
    const fault: unknown = await access(path, constants.R_OK | constants.W_OK).catch((error: unknown) => error);
    if (hasCode(fault, "ENOENT")) return `there is no Docker at ${path}`;
    if (hasCode(fault, "EACCES")) return `this user may not use Docker at ${path}`;
  }
  return `Docker does not answer at ${host}`;
}
