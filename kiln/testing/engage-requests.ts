import type { MessageInitShape } from "@bufbuild/protobuf";

import { Bell } from "../../core/bell.ts";
import type { GatewayFrame } from "../../core/session/frames.ts";
import { toRequest } from "../../gateway/runnerpool/wire.ts";
import type { EngageRequestSchema } from "../../gen/kiln/runner/v1/runner_pb.ts";

type Request = MessageInitShape<typeof EngageRequestSchema>;

/** What a client sends in a session: messages in the order they are pushed, until it is told that there are no more. */
export class EngageRequests {
  readonly #queue: Request[] = [];
  readonly #bell = new Bell();
  #ended = false;

  /** One message of these frames. */
  push(...frames: readonly GatewayFrame[]): void {
    this.#queue.push(toRequest(frames));
    this.#bell.ring();
  }

  end(): void {
    this.#ended = true;
    this.#bell.ring();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Request> {
    for (;;) {
      const next = this.#queue.shift();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else await this.#bell.heard();
    }
  }
}
