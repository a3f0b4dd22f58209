import type { CallError } from "../../core/call-error.ts";
import type { Finish, OfferedCall, RefusalScope, ResponseHead } from "../../core/session/frames.ts";
import type { CallPort, OfferedCallHandler } from "../rpc/call-port.ts";

export interface Collected {
  readonly head: ResponseHead;
  readonly body: Buffer;
  readonly finish: Finish;
}

export interface CollectOptions {
  readonly offer: (offered: OfferedCall, port: CallPort) => OfferedCallHandler;
  /** A larger answer ends the call. */
  readonly mostBytes: number;
  readonly signal?: AbortSignal;
}

/** Runs one call that no gateway places, and keeps its answer. @throws CallError what it was refused with */
export async function collectCall(
  offered: OfferedCall,
  { offer, mostBytes, signal }: CollectOptions,
): Promise<Collected> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let head: ResponseHead = { status: 200, headers: [] };
  let pending = false;
  const over = Promise.withResolvers<Finish>();
  const handler = offer(offered, {
    refuse: (reason: CallError, _scope: RefusalScope) => over.reject(reason),
    pending: () => (pending = true),
    accept: () => {
      // Nobody else could take it, so there is nothing to wait for.
      if (pending) queueMicrotask(() => handler.start());
    },
    head: (answer) => (head = answer),
    write(chunk) {
      bytes += chunk.length;
      if (bytes <= mostBytes) chunks.push(chunk);
      else handler.cancel("function_response_too_big");
      return true;
    },
    consumed() {},
    finish: (finish) => over.resolve(finish),
  });
  const cancel = () => handler.cancel("client_cancel");
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    const finish = await over.promise;
    return { head, body: Buffer.concat(chunks), finish };
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}
