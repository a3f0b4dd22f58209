import { once } from "node:events";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";

import { connectNodeAdapter } from "@connectrpc/connect-node";

import { pause, systemClock } from "../../core/clock.ts";
import type { PkiData } from "../../core/pki.ts";
import { runnerClient } from "../../gateway/runnerpool/runner-link.ts";
import {
  RunnerService,
  type EngageRequest,
  type EngageResponse,
  type GatewayFrame,
  type RunnerFrame,
} from "../../gen/kiln/runner/v1/runner_pb.ts";
import type { FaultMode, FaultPlan, FrameKind } from "./frame-fault.ts";

export interface FrameProxyOptions {
  /** The runner, `host:port`, and the name in its certificate. */
  readonly runner: { readonly address: string; readonly name: string };
  /** What gateways see: a certificate with the runner's name. */
  readonly asRunner: PkiData;
  /** What the runner sees: a certificate of a listed gateway. */
  readonly asGateway: PkiData;
  readonly plan: FaultPlan;
}

/** A man in the middle of a session, with mutual TLS on both sides: carries frames as its plan says. */
export interface FrameProxy extends AsyncDisposable {
  readonly address: string;
  /** Cuts every connection through it. */
  cut(): void;
}

/** What was written is on its way by then: loopback takes microseconds. */
const DELIVERY_MS = 30;

/** Listens on a free loopback port and engages the runner anew for every session of a gateway. */
export async function frameProxy({ runner, asRunner, asGateway, plan }: FrameProxyOptions): Promise<FrameProxy> {
  const connections = new Set<http2.Http2Session>();
  const cut = () => connections.forEach((connection) => connection.destroy());
  const watch = (connection: http2.Http2Session) => {
    connections.add(connection);
    connection.on("error", () => {});
    connection.on("close", () => connections.delete(connection));
  };
  const dial = () => {
    const connection = http2.connect(`https://${runner.address}`, { ...asGateway, servername: runner.name });
    watch(connection);
    return connection;
  };
  const meet = (kind: string) => plan.meet(runner.name, kind as FrameKind);
  const server = http2.createSecureServer(
    { ...asRunner, requestCert: true, rejectUnauthorized: true },
    connectNodeAdapter({
      routes: (router) =>
        router.service(RunnerService, {
          async *engage(requests, { signal }) {
            const connection = dial();
            try {
              const client = runnerClient(connection, runner.address);
              const upward = carried<GatewayFrame, EngageRequest>(requests, (frame) => meet(`up ${frame}`), cut);
              const downward = client.engage(upward, { signal });
              yield* carried<RunnerFrame, EngageResponse>(downward, (frame) => meet(`down ${frame}`), cut);
            } finally {
              connection.destroy();
            }
          },
        }),
    }),
  );
  server.on("session", watch);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}

interface Frame {
  readonly frame: { readonly case: string | undefined };
}

/** The messages without what the plan has go missing. A cut comes between two frames, also of one message. */
async function* carried<F extends Frame, M extends { frames: F[] }>(
  messages: AsyncIterable<M>,
  meet: (frame: string) => FaultMode | undefined,
  cut: () => void,
): AsyncGenerator<M, void, void> {
  for await (const message of messages) {
    const kept: F[] = [];
    for (const frame of message.frames) {
      const mode = meet(frame.frame.case ?? "unknown");
      if (mode !== "drop" && mode !== "cut") kept.push(frame);
      if (mode !== "cut" && mode !== "then cut") continue;
      yield { ...message, frames: kept };
      await pause(systemClock, DELIVERY_MS);
      return cut();
    }
    if (kept.length > 0) yield { ...message, frames: kept };
  }
}
