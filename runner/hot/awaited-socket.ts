import type { SocketWatch } from "./socket-ready.ts";

/** A function's socket, looked for from before its container's start until this is disposed of. */
export class AwaitedSocket implements Disposable {
  readonly #watch: SocketWatch;
  readonly #stopping = new AbortController();
  /** Where to reach the function once it listens. Rejects with why that will not be. */
  readonly path: Promise<string>;
  /** Resolves once the function listens. That it never will is for `path` to say. */
  readonly listens: Promise<void>;

  constructor(watch: SocketWatch) {
    this.#watch = watch;
    this.path = watch.ready(this.#stopping.signal);
    this.listens = new Promise((resolve) => void this.path.then(() => resolve()).catch(() => {}));
  }

  /** Nobody needs to look for it any more. The first reason counts. */
  giveUp(reason?: Error): void {
    this.#stopping.abort(reason);
  }

  [Symbol.dispose](): void {
    this.giveUp();
    this.#watch[Symbol.dispose]();
  }
}
