import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A way to the Docker daemon that can fail where the daemon itself does not. */
export interface EngineProxy extends AsyncDisposable {
  /** For `connectEngine`. */
  readonly host: string;
  /** Request lines that came, in their order. */
  readonly requests: readonly string[];
  /** From now on, such requests reach the daemon and their answers do not come back. */
  loseAnswers(request: RegExp): void;
  /** From now on, answers to such requests wait until what this returns is called. */
  holdAnswers(request: RegExp): () => void;
  /** From now on, such requests do not reach the daemon. */
  refuse(request: RegExp | undefined): void;
  /** Breaks the connections on which such requests were made. */
  cut(request: RegExp): void;
}

/** One request comes on each connection: the engine's client keeps none alive. */
export async function engineProxy(dockerHost: string): Promise<EngineProxy> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-proxy-"));
  const path = join(directory, "docker.sock");
  const requests: string[] = [];
  const open = new Map<Socket, string>();
  let lost: RegExp | undefined;
  let held: { readonly request: RegExp; readonly released: Promise<void> } | undefined;
  let refused: RegExp | undefined;

  const server = createServer((client) => {
    const daemon = connect(dockerHost.replace(/^unix:\/\//, ""));
    const end = () => {
      open.delete(client);
      client.destroy();
      daemon.destroy();
    };
    for (const socket of [client, daemon]) socket.on("error", end).on("close", end);
    client.once("data", (first) => {
      const request = first.toString().split("\r\n")[0] ?? "";
      requests.push(request);
      open.set(client, request);
      if (refused?.test(request) === true) return end();
      daemon.write(first);
      client.pipe(daemon);
      if (lost?.test(request) === true) daemon.once("data", end);
      else if (held?.request.test(request) === true) void held.released.then(() => daemon.pipe(client));
      else daemon.pipe(client);
    });
  });
  server.listen(path);
  await once(server, "listening");

  return {
    host: `unix://${path}`,
    requests,
    loseAnswers: (request) => void (lost = request),
    holdAnswers(request) {
      const { promise: released, resolve } = Promise.withResolvers<void>();
      held = { request, released };
      return resolve;
    },
    refuse: (request) => void (refused = request),
    cut(request) {
      for (const [client, made] of open) if (request.test(made)) client.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const client of open.keys()) client.destroy();
      server.close();
      await once(server, "close");
      await rm(directory, { recursive: true, force: true });
    },
  };
}
