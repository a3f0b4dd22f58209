import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Takes what only one process of this machine's network namespace may have at a time. Disposing it gives it back, as
 * does the process's end; it keeps no process alive. Undefined where another process has it.
 * @param what names it, in words that nobody else uses
 */
export async function claim(what: readonly string[]): Promise<AsyncDisposable | undefined> {
  await using made = new AsyncDisposableStack();
  const lock = made.use(createServer((socket) => socket.destroy()));
  const hash = createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 16);
  try {
    // In Linux's abstract namespace there is no file that could outlive the process.
    await once(lock.listen(`\0kiln-${hash}`), "listening");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return undefined;
    throw error;
  }
  lock.unref();
  return made.move();
}
