import { CallError } from "../../core/call-error.ts";
import type { Finish, GatewayFrame, RunnerFrame } from "../../core/session/frames.ts";
import type { OfferedCall } from "../../core/session/frames.ts";
import type { WindowLimits } from "../../core/session/receive-windows.ts";
import { GatewaySession, type OfferHandler } from "../../gateway/runnerpool/session.ts";
import type { CallPort, OfferedCallHandler } from "../../runner/rpc/call-port.ts";
import { RunnerSession } from "../../runner/rpc/session.ts";

/** One call on the runner's side of a pair, with what it was told. */
export interface RunnerSideCall {
  readonly offered: OfferedCall;
  readonly port: CallPort;
  readonly heard: string[];
  readonly bytes: number[];
}

/** One call on the gateway's side of a pair, with what it was told. */
export class RecordingHandler implements OfferHandler {
  readonly heard: string[] = [];
  bytes = 0;
  finished: Finish | undefined;
  refusedWith: CallError | undefined;

  refused(reason: CallError): void {
    this.heard.push(`refused ${reason.code}`);
    this.refusedWith = reason;
  }
  pending(phase: string): void {
    this.heard.push(`pending ${phase}`);
  }
  placed({ warm }: { warm: boolean }): void {
    this.heard.push(warm ? "placed warm" : "placed cold");
  }
  head(): void {
    this.heard.push("head");
  }
  data(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.heard.push(`data ${bytes.length}`);
  }
  finish(finish: Finish): void {
    this.finished = finish;
    this.heard.push(finish.ok ? "finish ok" : `finish ${finish.code}`);
  }
  drained(): void {
    this.heard.push("drained");
  }
}

/** Both ends of a session with nothing between them: frames move when the test says so. */
export class SessionPair {
  readonly calls: RunnerSideCall[] = [];
  /** What handlers threw. */
  readonly faults: unknown[] = [];
  readonly gateway: GatewaySession;
  readonly runner: RunnerSession;
  /** Everything that crossed, in its order. */
  readonly crossed: (GatewayFrame | RunnerFrame)[] = [];

  constructor(limits?: WindowLimits) {
    const quiet = {
      wake() {},
      hello() {},
      capacity() {},
      draining() {},
      fault: (error: unknown) => void this.faults.push(error),
    };
    this.gateway = new GatewaySession(quiet, limits);
    this.runner = new RunnerSession(
      { wake() {}, hello() {}, offer: (offered, port) => this.#offered(offered, port) },
      limits,
    );
    this.gateway.hello("gateway", "0");
  }

  /** Carries one batch from the gateway to the runner. */
  toRunner(budgetBytes = Infinity): void {
    const frames = this.gateway.take(budgetBytes);
    this.crossed.push(...frames);
    this.runner.receive(frames);
  }

  /** Carries one batch from the runner to the gateway. */
  toGateway(budgetBytes = Infinity): void {
    const frames = this.runner.take(budgetBytes);
    this.crossed.push(...frames);
    this.gateway.receive(frames);
  }

  /** Carries frames both ways until nobody has any. */
  settle(): void {
    for (let i = 0; i < 1_000 && !(this.gateway.idle && this.runner.idle); i++) {
      this.toRunner();
      this.toGateway();
    }
  }

  loseConnection(): void {
    this.gateway.lost(new CallError("runner_unreachable", "cut by the test"));
    this.runner.lost();
  }

  #offered(offered: OfferedCall, port: CallPort): OfferedCallHandler {
    const heard: string[] = [];
    const bytes: number[] = [];
    this.calls.push({ offered, port, heard, bytes });
    return {
      start: () => void heard.push("start"),
      data: (chunk, end) => {
        bytes.push(chunk.length);
        heard.push(end ? "end" : `data ${chunk.length}`);
      },
      drained: () => void heard.push("drained"),
      cancel: (code) => void heard.push(`cancel ${code}`),
    };
  }
}
