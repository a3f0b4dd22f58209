import { once } from "node:events";
import { connect, type Socket } from "node:net";
import process from "node:process";

import type { FromHolder, ToHolder } from "./holder.ts";

/** Connections that are opened at the same time: a server's backlog takes no more than some hundreds. */
const AT_ONCE = 100;

const held = new Set<Socket>();
let answered = 0;

process.on("disconnect", () => process.exit(0));
process.on("message", (message: ToHolder) => {
  if (message.type === "release") return release();
  void hold(message).then(
    () => tell({ type: "sent" }),
    (error: unknown) => tell({ type: "failed", why: String(error) }),
  );
});

async function hold({ host, port, request, count }: Extract<ToHolder, { type: "hold" }>): Promise<void> {
  for (let opened = 0; opened < count; opened += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - opened) }, async () => {
      const socket = connect(port, host);
      await once(socket, "connect");
      socket.on("error", () => {});
      socket.on("data", () => (answered += 1));
      socket.write(request);
      held.add(socket);
    });
    await Promise.all(some);
  }
}

function release(): void {
  for (const socket of held) socket.destroy();
  held.clear();
  tell({ type: "released", answered });
  answered = 0;
}

function tell(message: FromHolder): void {
  process.send?.(message);
}
