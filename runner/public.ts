import type { ContainerCreateOptions } from "./driver/docker/docker-driver.ts";
import type { RunCall, Start } from "./driver/driver.ts";

// For operators' hooks.
export { defineExtension, extension, withExtension, withRegistryToken, z } from "../core/extension.ts";
export { CallError } from "../core/call-error.ts";
export type { Call } from "../core/call.ts";
export type { ContainerTask } from "../core/container-task.ts";
export type { RunnerOverrider } from "./calls/call-run.ts";
export type { HealthCheck } from "./status/check-status.ts";
export type { ContainerStart, DriverHook, HotCall, HotContainer, RunCall, Start } from "./driver/driver.ts";
export type { ContainerCreateOptions };

/** An entry of `startHooks` for the docker driver: `start.options` are the Engine's create options. */
export type DockerStartHook = (next: Start<ContainerCreateOptions>) => Start<ContainerCreateOptions>;

/** An entry of `callHooks`. */
export type CallHook = (next: RunCall) => RunCall;

// For those who build a runner of their own.
export { createRunner } from "./runner.ts";
export type { Runner, RunnerIdentity, RunnerLimits, RunnerOptions } from "./runner.ts";
export type { Driver } from "./driver/driver.ts";
export { serveRunner } from "./rpc/server.ts";
export { socketDirectories } from "./hot/socket-directory.ts";
export { processDriver } from "./driver/process/process-driver.ts";
export { dockerDriver } from "./driver/docker/docker-driver.ts";
export { connectEngine } from "./driver/docker/engine.ts";
