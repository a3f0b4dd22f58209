import type { Log } from "../../core/log.ts";
import type { Runner } from "../runner.ts";
import { RunnerSession } from "./session.ts";

export interface EngagedGateway {
  readonly session: RunnerSession;
  /** The runner tells the session nothing more. */
  leave(): void;
}

/** This runner's end of a session with a gateway that has connected. `wake` is called when there is something to send. */
export function engageGateway(runner: Runner, log: Log, wake: () => void): EngagedGateway {
  const session = new RunnerSession({
    wake,
    hello: (gatewayId, version) => log.info("Gateway connected", { gateway: gatewayId, version }),
    offer: (offered, port) => runner.offer(offered, port),
  });
  session.hello(runner.hello());
  if (runner.status().draining) session.draining();
  return { session, leave: runner.observe(session) };
}
