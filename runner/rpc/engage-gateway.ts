import { CallError } from "../../core/call-error.ts";
import type { Log } from "../../core/log.ts";
import type { Runner } from "../runner.ts";
import { NOBODY, RunnerSession } from "./session.ts";

export interface EngagedGateway {
  readonly session: RunnerSession;
  /** The runner tells the session nothing more. */
  leave(): void;
}

/**
 * This runner's end of a session with a gateway that has connected. `wake` is called when there is something to send;
 * once it `isRetired`, new calls are refused.
 */
export function engageGateway(
  runner: Runner,
  log: Log,
  wake: () => void,
  isRetired: () => boolean = () => false,
): EngagedGateway {
  const session = new RunnerSession({
    wake,
    hello: (gatewayId, version) => log.info("Gateway connected", { gateway: gatewayId, version }),
    offer(offered, port) {
      if (!isRetired()) return runner.offer(offered, port);
      // Sent before the gateway heard: it offers it again, on its new connection.
      port.refuse(new CallError("shutting_down", "Runner is closing this connection"), "this_runner");
      return NOBODY;
    },
  });
  session.hello(runner.hello());
  if (runner.status().draining) session.draining();
  return { session, leave: runner.observe(session) };
}
