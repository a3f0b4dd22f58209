// For operators' overriders.
export { createMiddleware } from "hono/factory";
export { HTTPException } from "hono/http-exception";

export { CallError } from "../core/call-error.ts";
export type { Call } from "../core/call.ts";
export { defineExtension, extension, withExtension, z } from "../core/extension.ts";
export { overrideCall } from "./overrider.ts";
export type { CallOverrider, GatewayEnv, Overrider } from "./overrider.ts";

// For those who build a gateway of their own.
export { createGateway } from "./gateway.ts";
export type { GatewayOptions } from "./gateway.ts";
export type { FoundFunction, FunctionLookup } from "./functions/functions.ts";
export { functionsFile } from "./functions/functions-file.ts";
export { listen } from "./listen.ts";
export { mtlsRunnerFactory } from "./runnerpool/mtls-runner.ts";
export type { RunnerFactory } from "./runnerpool/mtls-runner.ts";
export { naivePlacer } from "./runnerpool/naive-placer.ts";
export { poolOf, staticPool } from "./runnerpool/static-pool.ts";
export type { Offer, Placement, Placer, Runner, RunnerCall, RunnerPool } from "./runnerpool/runnerpool.ts";
