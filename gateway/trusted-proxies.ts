import { BlockList, isIP } from "node:net";

import type { Context } from "hono";

import { nodeBindings } from "./invoke/node-bindings.ts";
import type { GatewayEnv } from "./overrider.ts";

/** Tells where clients believe to be talking to. */
export interface TrustedProxies {
  /** Whether the connection comes from a listed proxy. */
  isTrusted(c: Context<GatewayEnv>): boolean;
  /** Scheme, host and port as the client has them: `https://fn.example.com`. */
  origin(c: Context<GatewayEnv>): string;
}

/**
 * Believes `X-Forwarded-Proto`, `-Host` and `-Port` of listed proxies, and of nobody else.
 * @param addresses IP addresses and CIDR ranges
 * @throws Error naming the one that is neither
 */
export function trustedProxies(addresses: readonly string[]): TrustedProxies {
  const listed = new BlockList();
  for (const address of addresses) add(listed, address);
  const isTrusted = (c: Context<GatewayEnv>) => {
    const peer = nodeBindings(c).incoming?.socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "");
    return peer !== undefined && listed.check(peer, isIP(peer) === 6 ? "ipv6" : "ipv4");
  };
  return {
    isTrusted,
    origin(c) {
      const { protocol, host } = new URL(c.req.url);
      if (!isTrusted(c)) return `${protocol}//${host}`;
      const scheme = lastOf(c, "x-forwarded-proto", /^https?$/) ?? protocol.slice(0, -1);
      const name = lastOf(c, "x-forwarded-host", /^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i) ?? host;
      const port = lastOf(c, "x-forwarded-port", /^\d{1,5}$/);
      const base = port === undefined || /:\d+$/.test(name) ? name : `${name}:${port}`;
      // Without the port that the scheme has by itself.
      return URL.canParse(`${scheme}://${base}`) ? new URL(`${scheme}://${base}`).origin : `${protocol}//${host}`;
    },
  };
}

/** The URL that the client asked for. */
export function forwardedUrl(proxies: TrustedProxies, c: Context<GatewayEnv>): string {
  const { url } = c.req;
  return proxies.origin(c) + url.slice(new URL(url).origin.length);
}

function add(listed: BlockList, address: string): void {
  const [ip = "", prefix, ...more] = address.split("/");
  const family = isIP(ip);
  const longest = family === 6 ? 128 : 32;
  const bits = prefix === undefined ? longest : /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN;
  if (family === 0 || more.length > 0 || !(bits <= longest)) {
    throw new Error(`FN_TRUSTED_PROXIES has "${address}", expected an IP address or a range such as 10.0.0.0/8`);
  }
  listed.addSubnet(ip, bits, family === 6 ? "ipv6" : "ipv4");
}

/** Of several values the last one, which the nearest proxy wrote. */
function lastOf(c: Context<GatewayEnv>, header: string, expected: RegExp): string | undefined {
  const value = c.req.header(header)?.split(",").at(-1)?.trim();
  return value !== undefined && expected.test(value) ? value : undefined;
}
