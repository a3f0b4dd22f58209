import { createServer, isIPv6, type AddressInfo, type Server } from "node:net";

import { claim } from "./claim.ts";

export interface Address {
  /** Name or address to bind. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** The settings that these come from, for messages; by default FN_BIND and FN_PORT. */
  readonly settings?: { readonly host: string; readonly port: string };
}

/** Where a service's operators find it, as every service's settings say. */
export function adminAddress({ FN_ADMIN_BIND: host }: { readonly FN_ADMIN_BIND: string }, port: number): Address {
  return { host, port, settings: { host: "FN_ADMIN_BIND", port: "FN_ADMIN_PORT" } };
}

/**
 * Makes sure that nobody listens there, nor is about to, though they would share the port: two services with workers
 * would take each other's calls, or scrapes. It stays this process's to share until its end. @throws Error as `bind`
 */
export async function refuseTaken(address: Address): Promise<void> {
  const { host, port } = address;
  // Another parent that has looked as well may not have a worker that listens yet.
  const claimed = port === 0 || (await claim(["port", host, String(port)])) !== undefined;
  if (!claimed) throw new Error(cannotBind(address, { code: "EADDRINUSE", message: "" }));
  const server = createServer();
  await bind(server, address);
  await new Promise((resolve) => server.close(resolve));
}

/** @param reusePort lets other processes of this user listen there too @throws Error naming the address and the setting */
export function bind(server: Server, address: Address, reusePort = false): Promise<AddressInfo> {
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException) => reject(new Error(cannotBind(address, cause), { cause }));
    server.once("error", failed);
    server.listen({ port, host, reusePort }, () => {
      server.off("error", failed);
      const bound = server.address();
      if (typeof bound === "object" && bound !== null) resolve(bound);
    });
  });
}

function cannotBind(
  { host, port, settings }: Address,
  { code, message }: Pick<NodeJS.ErrnoException, "code" | "message">,
): string {
  const names = settings ?? { host: "FN_BIND", port: "FN_PORT" };
  const address = hostAndPort(host, port);
  if (code === "EADDRINUSE") return `Cannot listen on ${address}: the port is in use, set ${names.port} to another`;
  if (code === "EACCES") return `Cannot listen on ${address}: not permitted, set ${names.port} to 1024 or above`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return `Cannot listen on ${address}: this machine has no such address, set ${names.host} to one it has`;
  }
  return `Cannot listen on ${address}: ${message}`;
}

export function hostAndPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
