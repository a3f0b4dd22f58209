import { CallError } from "../../core/call-error.ts";
import type { Call } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import type { OfferedCall, Timings } from "../../core/session/frames.ts";
import type { RunCall } from "../driver/driver.ts";
import type { HotFunction, LaunchTimings } from "../hot/hot-function.ts";
import type { FunctionLogs } from "../logs/function-logs.ts";
import type { CallPort, OfferedCallHandler } from "../rpc/call-port.ts";
import type { SlotTable } from "../slots/slot-table.ts";
import type { Booking, Slot, SlotRequest, SlotWaiter } from "../slots/slot.ts";
import type { TaskCache } from "../slots/task-cache.ts";
import { BodyInbox } from "./body-inbox.ts";
import { exchange, type RunningCall } from "./exchange.ts";
import { slotRequest } from "./slot-request.ts";
import { timeSpent } from "./time-spent.ts";
import { validateAffinityKey, validateCall } from "./validate-call.ts";

/** Replaces a call on the runner, before its container is chosen. Not asynchronous: policy that waits is the gateway's. */
export type RunnerOverrider = (call: Call) => Call;

export interface CallRunDependencies {
  readonly slots: SlotTable<HotFunction>;
  readonly tasks: TaskCache;
  readonly overriders: readonly RunnerOverrider[];
  /** Wraps the running of a call in the operator's hooks. */
  readonly wrap: ((run: RunCall) => RunCall) | undefined;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
  readonly logs: Pick<FunctionLogs, "began" | "ended">;
  /** What its container books, where that is not what it asks for. */
  readonly booking?: Booking;
  /** Whether it may use its image: undefined where it may, or resolves once that is known. @throws CallError */
  readonly admit?: ((image: string) => Promise<void> | undefined) | undefined;
  /** Whose call it is. */
  readonly source: object;
  /** Told once, when nothing of the call is left. A refused one never ran. */
  readonly ended: (outcome: ErrorCode | "ok", refused: boolean) => void;
}

const START_WITHIN_MS = 10_000;

/** One offered call, from its validation to its outcome. Whatever happens, its slot comes back and the gateway hears one end. */
export class CallRun implements OfferedCallHandler, SlotWaiter<HotFunction> {
  readonly #deps: CallRunDependencies;
  readonly #offered: OfferedCall;
  readonly #port: CallPort;
  readonly #offeredAt: number;
  readonly #body: BodyInbox;
  /** After the runner's overriders. */
  #call: Call;
  #request: SlotRequest | undefined;
  #slot: Slot<HotFunction> | undefined;
  #running: RunningCall | undefined;
  #runningSince: number | undefined;
  #pending = false;
  #launchTimings: LaunchTimings = { pullMs: 0, startMs: 0, initMs: 0 };
  #over = false;
  #cancelTimer: () => void = () => {};

  constructor(offered: OfferedCall, port: CallPort, deps: CallRunDependencies) {
    this.#deps = deps;
    this.#offered = offered;
    this.#port = port;
    this.#call = offered.call;
    this.#offeredAt = deps.clock.now();
    this.#body = new BodyInbox(offered.body, (bytes) => port.consumed(bytes));
    if (offered.end) this.#body.push(new Uint8Array(), true);
  }

  get source(): object {
    return this.#deps.source;
  }

  get call(): Call {
    return this.#call;
  }

  /** It has a container and runs in it. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  begin(): void {
    try {
      validateCall(this.#call);
      validateAffinityKey(this.#offered.affinityKey);
      for (const override of this.#deps.overriders) this.#call = override(this.#call);
      if (this.#deps.overriders.length > 0) validateCall(this.#call);
      const { tasks, booking } = this.#deps;
      this.#request = slotRequest(this.#call, this.#offered.affinityKey, tasks, booking);
    } catch (error) {
      return this.#refuse(CallError.from(error, "hook_failed"), "any_runner");
    }
    const admission = this.#deps.admit?.(this.#call.image);
    if (admission === undefined) return this.#acquire(this.#request);
    this.#watchDeadline(this.#remainingMs(), () => this.#fail(this.#late("its image was looked up")));
    void this.#acquireOnce(admission, this.#request);
  }

  async #acquireOnce(admission: Promise<void>, request: SlotRequest): Promise<void> {
    try {
      await admission;
    } catch (error) {
      return this.#fail(CallError.from(error, "image_reserved"));
    }
    if (this.#over) return;
    this.#cancelTimer();
    this.#acquire(request);
  }

  #acquire(request: SlotRequest): void {
    const acquired = this.#deps.slots.acquire(request, this);
    if (acquired.kind === "refused") return this.#refuse(acquired.reason, acquired.scope);
    if (acquired.kind === "slot") {
      this.#hold(acquired.slot);
      return void this.#run();
    }
    if (this.#over) return;
    if (acquired.kind === "waiting") this.waits();
    const late = () => this.#fail(this.#late(this.#pending ? "its container started" : "it waited for a container"));
    this.#watchDeadline(this.#remainingMs(), late);
  }

  granted(slot: Slot<HotFunction>): void {
    if (this.#over) return this.#deps.slots.release(slot, false);
    this.#cancelTimer();
    this.#hold(slot);
    // One that was only thawed, or is back from another call, is as warm as any: nothing was told, so nobody has to
    // let it start.
    if (!this.#pending) return void this.#run();
    // A gateway that does not say `start` must not keep the container.
    const remainingMs = this.#remainingMs();
    const reason = (): CallError =>
      remainingMs < START_WITHIN_MS
        ? this.#late("its gateway let it wait")
        : new CallError("runner_protocol", `Gateway did not start the call in ${START_WITHIN_MS} ms`);
    this.#watchDeadline(Math.min(START_WITHIN_MS, remainingMs), () => this.#fail(reason()));
  }

  waits(): void {
    this.#pending = true;
    this.#port.pending("start");
  }

  failed(reason: CallError): void {
    // Platform trouble here says nothing of another runner; the function's own trouble would be the same there.
    if (reason.blame === "platform" && reason.retryable) return this.#refuse(reason, "this_runner");
    this.#fail(reason);
  }

  start(): void {
    if (!this.#over) void this.#run();
  }

  data(bytes: Uint8Array, end: boolean): void {
    this.#body.push(bytes, end);
  }

  drained(): void {
    this.#running?.resume();
  }

  cancel(code: ErrorCode): void {
    if (this.#over) return;
    const reason = new CallError(code);
    this.#body.fail(reason);
    if (this.#running === undefined) return this.#fail(reason);
    if (this.#call.onCancel === "kill") return this.#running.abort(reason);
    // The gateway hears its end now; the function runs on to its own, and its container is kept.
    this.#running.mute();
    this.#tellFailure(reason);
  }

  /** Ends the call wherever it is: the runner goes. */
  end(reason: CallError): void {
    if (this.#over) return;
    if (this.#running !== undefined) return this.#running.abort(reason);
    if (this.#slot !== undefined) return this.#fail(reason);
    // It was not accepted, so nothing of it ran: another runner may take it.
    this.#refuse(reason, "this_runner");
    this.#release(false);
  }

  #hold(slot: Slot<HotFunction>): void {
    this.#slot = slot;
    // It waits for none any more.
    this.#request = undefined;
    // A warm one is told of once its function has the call: until then it may turn out to be dead.
    if (!this.#pending) return;
    this.#launchTimings = slot.container.launchTimings;
    this.#port.accept(slot.container.container.id);
  }

  async #run(): Promise<void> {
    const slot = this.#slot;
    if (slot === undefined) return;
    const { clock, wrap, maxResponseBytes, logs } = this.#deps;
    const { id: containerId } = slot.container.container;
    this.#runningSince = clock.now();
    this.#cancelTimer();
    const remainingMs = this.#remainingMs();
    logs.began(containerId, this.#call.id);
    const running = exchange({
      call: this.#call,
      hot: slot.container,
      body: this.#offered.end ? { whole: this.#offered.body } : { stream: this.#body.read() },
      port: this.#port,
      wrap,
      clock,
      maxResponseBytes,
      deadlineWallMs: clock.wallMs() + Math.min(this.#call.timeoutMs, remainingMs),
      begun: () => {
        if (!this.#pending) this.#port.accept(containerId);
      },
      mayMove: !this.#pending,
      doomed: (reason) => this.#tellFailure(reason),
    });
    this.#running = running;
    this.#watchDeadline(Math.min(this.#call.timeoutMs, remainingMs), () => running.abort(this.#timedOut(remainingMs)));
    const { failure, broken, moves = false } = await running.over;
    logs.ended(containerId);
    this.#release(broken);
    if (failure === undefined) this.#succeed();
    else if (moves) this.#refuse(failure, "this_runner");
    else this.#fail(failure);
  }

  /** Of the call's deadline. */
  #remainingMs(): number {
    return this.#offered.remainingMs - (this.#deps.clock.now() - this.#offeredAt);
  }

  #timedOut(remainingMs: number): CallError {
    const { timeoutMs } = this.#call;
    if (timeoutMs > remainingMs) return this.#late("it ran");
    return new CallError("call_timeout", `Timed out: the function's timeout of ${timeoutMs} ms passed`);
  }

  /** Its gateway made the deadline, and says of which settings. */
  #late(doing: string): CallError {
    const ms = Math.round(this.#offered.remainingMs);
    const why = `the call's deadline passed, ${ms} ms after this runner got it and while ${doing}`;
    return new CallError("call_timeout", `Timed out: ${why}`);
  }

  #watchDeadline(ms: number, late: () => void): void {
    if (Number.isFinite(ms)) this.#cancelTimer = this.#deps.clock.after(ms, late);
  }

  #succeed(): void {
    if (!this.#finish("ok")) return;
    this.#port.finish({ ok: true, timings: this.#timings() });
  }

  #fail(reason: CallError): void {
    if (!this.#finish(reason.code)) return;
    this.#release(false);
    this.#tellFailure(reason);
  }

  #tellFailure({ code, message, status, stderrTail = "" }: CallError): void {
    const timings = this.#timings();
    const told = code === "call_timeout" ? `${message} (${timeSpent(timings)})` : message;
    this.#port.finish({ ok: false, code, message: told, status, stderrTail, timings });
  }

  #refuse(reason: CallError, scope: "this_runner" | "any_runner"): void {
    if (!this.#finish(reason.code, true)) return;
    this.#release(false);
    this.#port.refuse(reason, scope);
  }

  #finish(outcome: ErrorCode | "ok", refused = false): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#cancelTimer();
    this.#deps.ended(outcome, refused);
    return true;
  }

  #release(broken: boolean): void {
    const slot = this.#slot;
    this.#slot = undefined;
    if (slot !== undefined) this.#deps.slots.release(slot, broken);
    else if (this.#request !== undefined) this.#deps.slots.leave(this.#request.key, this);
  }

  #timings(): Timings {
    const now = this.#deps.clock.now();
    const since = this.#runningSince ?? now;
    return {
      ...this.#launchTimings,
      waitMs: since - this.#offeredAt,
      runMs: now - since,
    };
  }
}
