// For operators' overriders.
export { createMiddleware } from "hono/factory";
export { HTTPException } from "hono/http-exception";

export { CallError } from "../core/call-error.ts";
export type { Call, CallId, CallType, ExtensionMap, HeaderList, JsonValue } from "../core/call.ts";
export type { ErrorCode } from "../core/error-codes.ts";
export { defineExtension, extension, withExtension, withRegistryToken, z } from "../core/extension.ts";
export type { Extension } from "../core/extension.ts";
export type { Timings } from "../core/session/frames.ts";
export type { CallOutcome } from "./invoke/call-outcome.ts";
export type { CalledTrigger } from "./triggers/called-trigger.ts";
export { overrideCall } from "./overrider.ts";
export type { CallOverrider, GatewayEnv, Overrider } from "./overrider.ts";
export { withPlacer, withRunnerGroup, withRunnerLabels } from "./placement.ts";

// For those who build a gateway of their own.
export type { AppSpec, FunctionSpec, OnCancel } from "../core/function-spec.ts";
export { createGateway } from "./gateway.ts";
export type { GatewayOptions, Readiness } from "./gateway.ts";
export type { FoundFunction, FunctionLookup, TriggerLookup } from "./functions/functions.ts";
export { functionsFile } from "./functions/functions-file.ts";
export type { FunctionsFile } from "./functions/functions-file.ts";
export type { InvokeLimits } from "./invoke/limits.ts";
export { listen } from "./listen.ts";
export type { Listener, ListenOptions } from "./listen.ts";
export { mtlsRunnerFactory } from "./runnerpool/mtls-runner.ts";
export type { RunnerFactory } from "./runnerpool/mtls-runner.ts";
export { naivePlacer } from "./runnerpool/naive-placer.ts";
export type { Candidate, Need, Place, Rank, Snapshot } from "./runnerpool/placers/candidate.ts";
export { createPlacer } from "./runnerpool/placers/create-placer.ts";
export type { PlacerName, PlacerOptions } from "./runnerpool/placers/create-placer.ts";
export { poolOf, staticPool } from "./runnerpool/static-pool.ts";
export type {
  BodySource,
  CapacityNews,
  Offer,
  Placement,
  Placer,
  RequestBody,
  ResponseSink,
  Runner,
  RunnerCall,
  RunnerLabels,
  RunnerLoad,
  RunnerPool,
  RunnerStatus,
} from "./runnerpool/runnerpool.ts";
