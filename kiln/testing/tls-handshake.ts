import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";

import { certificateNames, type PkiData } from "../../core/pki.ts";

/** What each end of a connection has read from the other's certificate. */
export interface Handshake {
  readonly serverNames: readonly string[];
  readonly clientNames: readonly string[];
}

/**
 * Connects a client to a server that asks for a certificate, over a real socket. On Deno most reasons are
 * `UNABLE_TO_VERIFY_LEAF_SIGNATURE`.
 * @throws Error with the code by which either side refused the other
 */
export async function handshake(
  server: PkiData,
  client: PkiData | { readonly ca: string },
  servername = "kiln-runner",
): Promise<Handshake> {
  const refusals: Record<string, unknown> = {};
  let clientNames: readonly string[] = [];
  // Otherwise Node refuses by itself, and keeps the reason.
  const listener = createServer({ ...server, requestCert: true, rejectUnauthorized: false }, (socket) => {
    socket.on("error", () => {});
    clientNames = namesOf(socket.getPeerX509Certificate());
    if (socket.authorized) return socket.end("hello");
    refusals["server"] = socket.authorizationError;
    return socket.destroy();
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", servername, ...client });
  try {
    await new Promise((resolve, reject) => {
      socket.once("data", resolve).once("error", (error: NodeJS.ErrnoException) => (refusals["client"] = error.code));
      socket.once("close", () => reject(new Error(`Refused: ${JSON.stringify(refusals)}`)));
    });
    return { serverNames: namesOf(socket.getPeerX509Certificate()), clientNames };
  } finally {
    socket.destroy();
    listener.close();
  }
}

function namesOf(certificate: X509Certificate | undefined): readonly string[] {
  return certificate === undefined ? [] : certificateNames(certificate);
}
