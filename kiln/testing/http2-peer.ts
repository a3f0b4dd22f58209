import { once } from "node:events";
import * as http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";

import { eventFedClient } from "../../gateway/runnerpool/http2-client.ts";

/** An HTTP/2 server, and a client with one session to it. Disposing it ends both. */
export interface Http2Peer extends AsyncDisposable {
  readonly url: string;
  readonly server: http2.Http2Server;
  readonly session: http2.ClientHttp2Session;
  /** Ends the connection without a word of HTTP/2. */
  cut(): void;
  readonly client: ReturnType<typeof eventFedClient>;
}

/** The server on a free port and one session to it. The session has no error listener but the client's. */
export async function connectedPeer(
  server: http2.Http2Server,
  options?: http2.SecureClientSessionOptions,
): Promise<Http2Peer> {
  const accepted = new Set<http2.ServerHttp2Session>();
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.on("session", (session) => {
    accepted.add(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream: http2.ServerHttp2Stream) => stream.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const url = `${options === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  const session = http2.connect(url, options);
  return {
    url,
    server,
    session,
    client: eventFedClient(() => Promise.resolve(session)),
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      session.destroy();
      for (const one of accepted) one.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}
