import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * Waits until no other process on this machine holds the lock, then holds it until disposed.
 *
 * It is a listening socket in Linux's abstract name space: there is no file to go stale, the kernel
 * frees the name when its owner dies, and the end of a connection tells the waiting that it is free.
 */
export async function takeLock(name: string): Promise<AsyncDisposable> {
  const address = `\0${name}`;
  for (;;) {
    const waiting = new Set<Socket>();
    const server = createServer((socket) => {
      waiting.add(socket);
      // A waiter that was killed is no reason to fail the one that builds.
      socket.on("error", () => {}).on("close", () => waiting.delete(socket));
    });
    if (await listens(server, address)) return { [Symbol.asyncDispose]: () => release(server, waiting) };
    await holderGone(address);
  }
}

async function listens(server: Server, address: string): Promise<boolean> {
  try {
    await once(server.listen(address), "listening");
    return true;
  } catch (reason) {
    if (reason instanceof Error && "code" in reason && reason.code === "EADDRINUSE") return false;
    throw reason;
  }
}

async function holderGone(address: string): Promise<void> {
  // An error says the same as an end: whoever held the lock is no longer there.
  const socket = connect(address)
    .on("error", () => {})
    .resume();
  await new Promise((resolve) => socket.on("close", resolve));
}

async function release(server: Server, waiting: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server.close(), "close");
  for (const socket of waiting) socket.destroy();
  await closed;
}
