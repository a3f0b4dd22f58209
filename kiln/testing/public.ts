// Parts for operators' own tests: a gateway without a machine, a runner without a gateway, time as a parameter.
export { callFor } from "./call-for.ts";
export { collectedCall } from "./collected-call.ts";
export type { CollectedAnswer, CollectedCall } from "./collected-call.ts";
export { describeDriver } from "./describe-driver.ts";
export { answers, echoes, fails, FakeRunner, refuses, runs } from "./fake-runner.ts";
export type { Behaviour, Script } from "./fake-runner.ts";
export { gatewayFor } from "./gateway-for.ts";
export { offerTo } from "./offer.ts";
export type { Outcome, RunningOffer } from "./offer.ts";
export { processRunner } from "./process-runner.ts";
export { VirtualClock } from "./virtual-clock.ts";

// A whole fleet in one process and in virtual time.
export { createFleet } from "../fleet/fleet.ts";
export type { Fleet, FleetAnswer, FleetNetwork, FleetOptions, FleetRequest } from "../fleet/fleet.ts";
export type { CutOptions, FrameTamper } from "../fleet/fleet-link.ts";
export type { FleetRunner } from "../fleet/fleet-runner.ts";
export type { SimulatedContainer } from "../fleet/simulated-container.ts";
export { simulatedDocker } from "../fleet/simulated-docker.ts";
export type { DriverSite, FleetDriver, FleetDriverFactory, SimulatedDockerOptions } from "../fleet/simulated-docker.ts";
export type {
  FunctionHandler,
  SimulatedAnswer,
  SimulatedFunction,
  SimulatedRequest,
  StartPlan,
} from "../fleet/simulated-function.ts";
