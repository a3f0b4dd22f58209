import { CallError } from "../../core/call-error.ts";
import type { Log } from "../../core/log.ts";
import type { WindowLimits } from "../../core/session/receive-windows.ts";
import type { Runner } from "../runner.ts";
import { NOBODY } from "./call-port.ts";
import { RunnerSession, type RunnerSessionEvents } from "./session.ts";

export interface EngagedGateway {
  readonly session: RunnerSession;
  /** The runner tells the session nothing more. */
  leave(): void;
}

/** There is something to send: now, or in company if some comes within milliseconds. */
export type SendSignals = Pick<RunnerSessionEvents, "wake" | "linger">;

/** This runner's end of a session with a gateway that has connected. Once it `isRetired`, new calls are refused. */
export function engageGateway(
  runner: Runner,
  log: Log,
  signals: SendSignals,
  isRetired: () => boolean = () => false,
  windows?: WindowLimits,
): EngagedGateway {
  const session: RunnerSession = new RunnerSession(
    {
      ...signals,
      hello: (gatewayId, version) => log.info("Gateway connected", { gateway: gatewayId, version }),
      offer(offered, port) {
        if (!isRetired()) return runner.offer(offered, port, session);
        // Sent before the gateway heard: it offers it again, on its new connection.
        port.refuse(new CallError("shutting_down", "Runner is closing this connection"), "this_runner");
        return NOBODY;
      },
    },
    windows,
  );
  session.hello(runner.hello());
  if (runner.status().draining) session.draining();
  return { session, leave: runner.observe(session) };
}
