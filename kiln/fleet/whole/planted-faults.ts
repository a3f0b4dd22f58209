import type { GatewayFrame, RunnerFrame } from "../../../core/session/frames.ts";
import type { FleetFaults } from "./fleet-world.ts";

/** A runner is told to start a call that its gateway has just cancelled. */
export const startWithCancel: FleetFaults = {
  tamper: () => ({
    toRunner: (frames) =>
      frames.flatMap((frame): readonly GatewayFrame[] =>
        frame.type === "cancel" ? [{ type: "start", call: frame.call }, frame] : [frame],
      ),
  }),
};

/** Every acceptance comes twice. */
export const acceptedTwice: FleetFaults = {
  tamper: () => ({
    toGateway: (frames) =>
      frames.flatMap((frame): readonly RunnerFrame[] => (frame.type === "accepted" ? [frame, frame] : [frame])),
  }),
};

/** A runner says of calls that it runs that it refused them, so that another runs them too. */
export const refusedThoughRun: FleetFaults = {
  tamper: (chance) => ({
    toGateway: (frames) =>
      frames.map((frame): RunnerFrame => {
        if (frame.type !== "accepted" || !chance.happens(0.3)) return frame;
        return { type: "refused", call: frame.call, code: "server_busy", message: "", scope: "this_runner" };
      }),
  }),
};
