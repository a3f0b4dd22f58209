import { Resolver } from "node:dns/promises";

import type { Clock } from "../../../core/clock.ts";
import type { Log } from "../../../core/log.ts";
import type { RunnerAddress } from "../static-pool.ts";
import { FoundRunners, type RunnerSource } from "./runner-source.ts";
import type { DnsWord } from "./runner-words.ts";

export interface DnsOptions {
  /** `host:port` of the server to ask; empty for the system's. */
  readonly server: string;
  /** How often a name is looked up; sooner where its records say so. */
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a look-up found, and for how long that holds. */
interface Answer {
  readonly runners: readonly RunnerAddress[];
  readonly ttlMs: number;
}

const TRIES = 2;
/** However short-lived its records are, a name is not looked up more often. */
const SOONEST_MS = 1_000;

/**
 * Follows a name: its A and AAAA records, or its SRV records with those of their targets. A look-up that fails leaves
 * what was known in force. Resolves after the first look-up, whatever came of it.
 */
export async function dnsSource(word: DnsWord, options: DnsOptions): Promise<RunnerSource> {
  const { server, everyMs, timeoutMs, clock, log } = options;
  const resolver = new Resolver({ timeout: timeoutMs, tries: TRIES });
  if (server !== "") resolver.setServers([server]);
  const found = new FoundRunners();
  let cancel = (): void => {};
  let disposed = false;

  const lookUp = async (): Promise<number> => {
    try {
      const { runners, ttlMs } = await (word.kind === "dns" ? hosts(resolver, word) : services(resolver, word));
      if (!disposed && found.found(runners)) log.info("Runners found", { name: word.host, runners: runners.length });
      return Math.min(everyMs, Math.max(ttlMs, SOONEST_MS));
    } catch (error) {
      const known = found.runners.length;
      if (!disposed) log.warn("Runners could not be looked up, those known stay", { name: word.host, known, error });
      return everyMs;
    }
  };
  const again = (ms: number) => {
    if (disposed) return;
    cancel = clock.after(ms, () => void lookUp().then(again));
  };
  again(await lookUp());

  return {
    get runners() {
      return found.runners;
    },
    onChange: (changed) => found.onChange(changed),
    [Symbol.asyncDispose]() {
      disposed = true;
      cancel();
      resolver.cancel();
      return Promise.resolve();
    },
  };
}

async function hosts(resolver: Resolver, word: DnsWord): Promise<Answer> {
  const { addresses, ttlMs } = await addressesOf(resolver, word.host);
  return { ttlMs, runners: addresses.map((address) => runnerAt(word, word.host, address, word.port)) };
}

async function services(resolver: Resolver, word: DnsWord): Promise<Answer> {
  const records = await resolver.resolveSrv(word.host);
  const each = await Promise.all(
    records.map(async ({ name, port }) => {
      const { addresses, ttlMs } = await addressesOf(resolver, name);
      return { ttlMs, runners: addresses.map((address) => runnerAt(word, name, address, port)) };
    }),
  );
  const runners = each.flatMap((one) => one.runners).sort((a, b) => (a.address < b.address ? -1 : 1));
  return { runners, ttlMs: Math.min(...each.map(({ ttlMs }) => ttlMs)) };
}

/** Both families. @throws what the first said, where neither has any */
async function addressesOf(
  resolver: Resolver,
  host: string,
): Promise<{ readonly addresses: readonly string[]; readonly ttlMs: number }> {
  const [four, six] = await Promise.allSettled([
    resolver.resolve4(host, { ttl: true }),
    resolver.resolve6(host, { ttl: true }),
  ]);
  const records = [four, six].flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  if (records.length === 0) throw four.status === "rejected" ? four.reason : new Error(`"${host}" has no address`);
  // Only one family failing for want of an answer would make the other's runners all there are.
  for (const one of [four, six]) if (one.status === "rejected" && !hasNone(one.reason)) throw one.reason;
  const addresses = records.map(({ address }) => (address.includes(":") ? `[${address}]` : address)).sort();
  return { addresses, ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1_000 };
}

/** The server says that there is no such record, which is an answer. */
function hasNone(reason: unknown): boolean {
  const { code } = reason as NodeJS.ErrnoException;
  return code === "ENODATA" || code === "ENOTFOUND";
}

function runnerAt({ certName, labels }: DnsWord, host: string, address: string, port: number): RunnerAddress {
  return { address: `${address}:${port}`, certCommonName: certName.replace("{host}", host), labels };
}
