import process from "node:process";

import { connectEngine, pingEngine } from "../../runner/driver/docker/engine.ts";
import { buildRunnerImage } from "./build.ts";

const PING_MS = 5_000;

const docker = connectEngine({ host: process.env["DOCKER_HOST"] });
if ((await pingEngine(docker, PING_MS)) === undefined) {
  throw new Error("Cannot reach Docker: is it running, and is DOCKER_HOST right?");
}
process.stdout.write(`${await buildRunnerImage(docker)}\n`);
