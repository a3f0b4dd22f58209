import { pause } from "../../../core/clock.ts";
import { promised } from "../broken-promise.ts";
import type { Chance } from "../chance.ts";
import type { Fleet, FleetRequest } from "../fleet.ts";
import { ANSWER_BYTES, isAll, MARK } from "./sim-functions.ts";

/** One client with one call: sends at its own pace, reads at its own pace, and may leave at any time. */
export class SimClient {
  readonly mark: number;
  status = 0;
  /** How it ended, as the client sees it. */
  end: "complete" | "broken" | "left" | undefined;
  endedMs = 0;
  readonly #fleet: Fleet;
  readonly #chance: Chance;
  readonly #answerBytes: number;
  readonly #leaving = new AbortController();

  constructor(mark: number, fleet: Fleet, chance: Chance) {
    this.mark = mark;
    this.#fleet = fleet;
    this.#chance = chance;
    this.#answerBytes = chance.happens(0.6) ? chance.below(2_000) : chance.below(600_000);
  }

  /** Resolves when its call is over. */
  async run(fnId: string): Promise<void> {
    const chance = this.#chance;
    if (chance.happens(0.2)) this.#fleet.clock.after(chance.below(400), () => this.#leaving.abort());
    try {
      const response = await this.#fleet.fetch(`/invoke/${fnId}`, this.#request());
      this.status = response.status;
      const bytes = await this.#read(response);
      this.end = this.#leaving.signal.aborted ? "left" : "complete";
      if (this.status !== 200 || this.end === "left") return;
      promised(
        bytes === this.#answerBytes,
        `client ${this.mark} was told of a good end after ${bytes} of ${this.#answerBytes} bytes`,
      );
    } catch (error) {
      if (error instanceof Error && error.name === "BrokenPromise") throw error;
      this.end = this.#leaving.signal.aborted ? "left" : "broken";
    } finally {
      this.endedMs = this.#fleet.clock.now();
    }
  }

  #request(): FleetRequest {
    const chance = this.#chance;
    const headers: Record<string, string> = { [MARK]: String(this.mark), [ANSWER_BYTES]: String(this.#answerBytes) };
    const { signal } = this.#leaving;
    const bytes = chance.happens(0.5) ? chance.below(1_000) : chance.below(400_000);
    if (bytes < 1_000 && chance.happens(0.8)) {
      return { headers: { ...headers, "content-length": String(bytes) }, signal, body: Buffer.alloc(bytes, this.mark) };
    }
    return { headers, signal, body: this.#stream(bytes), duplex: "half" };
  }

  #stream(bytes: number): ReadableStream<Uint8Array> {
    const { clock } = this.#fleet;
    let left = bytes;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          if (this.#chance.happens(0.2)) await pause(clock, this.#chance.below(30), this.#leaving.signal);
          if (left === 0) return controller.close();
          if (this.#leaving.signal.aborted) return controller.error(new Error("the client left"));
          const some = Math.min(left, 1 + this.#chance.below(60_000));
          left -= some;
          controller.enqueue(Buffer.alloc(some, this.mark));
        },
      },
      { highWaterMark: 0 },
    );
  }

  async #read(response: Response): Promise<number> {
    if (response.body === null) return 0;
    const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    let bytes = 0;
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      if (response.status === 200)
        promised(isAll(chunk.value, this.mark), `client ${this.mark} got bytes of another call`);
      bytes += chunk.value.length;
      if (this.#chance.happens(0.2)) await pause(this.#fleet.clock, this.#chance.below(40));
    }
    return bytes;
  }
}
