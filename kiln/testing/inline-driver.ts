import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { basename, join } from "node:path";

import { LISTENER } from "../../core/container-task.ts";
import type { Driver } from "../../runner/driver/driver.ts";

/**
 * A driver whose containers are HTTP servers in this process, on real sockets: for tests that need hundreds of them,
 * or look at a function from inside. Ending a container cuts its connections.
 */
export function inlineDriver(serve: RequestListener): Driver<object> {
  return {
    name: "inline",
    isolation: "none",
    prepare: () => Promise.resolve(new DisposableStack()),
    options: () => ({}),
    async start({ place }) {
      const exited = Promise.withResolvers<{ exitCode: number; outOfMemory: boolean }>();
      const server = createServer(serve);
      await once(server.listen(join(place.socketDirectory, basename(LISTENER))), "listening");
      server.once("close", () => exited.resolve({ exitCode: 0, outOfMemory: false }));
      return {
        id: place.id,
        exited: exited.promise,
        stderrTail: () => "",
        freeze: () => Promise.resolve(),
        thaw: () => Promise.resolve(),
        async [Symbol.asyncDispose]() {
          server.close();
          server.closeAllConnections();
          await exited.promise;
        },
      };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
