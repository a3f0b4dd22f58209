import type { Call } from "../../core/call.ts";
import { containerTask, slotKey } from "../../core/container-task.ts";
import type { Finish, ResponseHead } from "../../core/session/frames.ts";
import type { RequestBody, Runner, RunnerCall } from "../../gateway/runnerpool/runnerpool.ts";

/** What a call's sink was told, in full. */
export interface CollectedAnswer {
  readonly heard: readonly string[];
  readonly runner: Runner | undefined;
  readonly containerId: string | undefined;
  readonly head: ResponseHead | undefined;
  readonly body: Buffer;
  readonly finish: Finish;
}

export interface CollectedCall {
  readonly runnerCall: RunnerCall;
  readonly answer: Promise<CollectedAnswer>;
  /** What was heard so far. */
  readonly heard: readonly string[];
}

/** A call whose answer is collected as fast as it comes: for driving placers and runners without a gateway. */
export function collectedCall(call: Call, body: RequestBody | string = "", deadline = Infinity): CollectedCall {
  const heard: string[] = [];
  const chunks: Uint8Array[] = [];
  const over = Promise.withResolvers<CollectedAnswer>();
  let head: ResponseHead | undefined;
  let by: Runner | undefined;
  let containerId: string | undefined;
  const runnerCall: RunnerCall = {
    call,
    affinityKey: slotKey(containerTask(call)),
    extensions: call.extensions,
    deadline,
    body: () => (typeof body === "string" ? { whole: Buffer.from(body) } : body),
    sink: {
      pending: () => void heard.push("pending"),
      placed(runner, detail) {
        by = runner;
        containerId = detail.containerId;
        heard.push(detail.warm ? "placed warm" : "placed cold");
      },
      head(answer) {
        head = answer;
        heard.push("head");
      },
      data(bytes, consumed) {
        chunks.push(bytes);
        consumed(bytes.length);
      },
      finish(finish) {
        heard.push(finish.ok ? "finish ok" : `finish ${finish.code}`);
        over.resolve({ heard, runner: by, containerId, head, body: Buffer.concat(chunks), finish });
      },
    },
  };
  return { runnerCall, answer: over.promise, heard };
}
