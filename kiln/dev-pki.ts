import { chmod, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

import { type Clock, systemClock } from "../core/clock.ts";
import { loadPki, type PkiFiles } from "../core/pki.ts";
import { hasCode } from "./file-errors.ts";
import {
  authorityFault,
  certificateFault,
  makePrivateDirectory,
  pkiFiles,
  readAuthority,
  writeAuthority,
  writePki,
} from "./pki-files.ts";
import { type Authority, createAuthority, issue, type Role } from "./pki.ts";

export interface DevPki {
  readonly gateway: PkiFiles;
  readonly runner: PkiFiles;
  /** Why the certificates were made anew; undefined where those of an earlier start are used. */
  readonly madeBecause: string | undefined;
}

export interface DevPkiOptions {
  /** The identities, each in its certificate. */
  readonly names?: Readonly<Record<Role, string>>;
  readonly clock?: Clock;
}

const ROLES = ["gateway", "runner"] as const;
const LEAF_DAYS = 90;

/** Each attempt but the first means that another start was faster. */
const ATTEMPTS = 5;

/**
 * Certificates for a gateway and a runner on one machine, made at the first start: `ca`, `gateway` and `runner`,
 * each `.crt` and `.key`. Renewed a week before they end, or when they do not fit together.
 */
export async function ensureDevPki(directory: string, options: DevPkiOptions = {}): Promise<DevPki> {
  const { names = { gateway: "kiln-gateway", runner: "kiln-runner" }, clock = systemClock } = options;
  await makePrivateDirectory(dirname(directory));
  let madeBecause: string | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const fault = await faultOf(directory, names, clock.wallMs());
    if (fault === undefined) {
      await tighten(directory);
      return { gateway: pkiFiles(directory, "gateway"), runner: pkiFiles(directory, "runner"), madeBecause };
    }
    if (await replace(directory, names, clock.wallMs())) madeBecause = fault;
  }
  throw new Error(`Cannot make development certificates in "${directory}": another start keeps changing them`);
}

/** What is wrong with the certificates of a directory, or undefined. */
async function faultOf(directory: string, names: Record<Role, string>, nowMs: number): Promise<string | undefined> {
  const authority = await readAuthority(directory).catch(() => "ca.crt or ca.key cannot be read");
  if (authority === undefined) return "there were none";
  if (typeof authority === "string") return authority;
  const fault = authorityFault(authority, nowMs);
  if (fault !== undefined) return `ca.crt ${fault}`;
  for (const role of ROLES) {
    const pki = await loadPki(pkiFiles(directory, role)).catch(() => undefined);
    const roleFault = pki === undefined ? "or its key cannot be used" : certificateFault(pki, nowMs, names[role]);
    if (roleFault !== undefined) return `${role}.crt ${roleFault}`;
  }
  return undefined;
}

/** Puts a whole new set in the directory's place at once, so that no one sees half of one. False if another was faster. */
async function replace(directory: string, names: Record<Role, string>, nowMs: number): Promise<boolean> {
  const made = await mkdtemp(`${directory}.`);
  try {
    await makeSet(made, await usableAuthority(directory, nowMs), names, nowMs);
    if (await movesTo(directory, made)) return true;
    if ((await faultOf(directory, names, nowMs)) === undefined) return false;
    // Between here and the move that follows there is no set at all, which a start takes for its first.
    await rename(directory, `${made}.old`).catch(unlessMissing);
    return await movesTo(directory, made);
  } finally {
    await rm(made, { recursive: true, force: true });
    await rm(`${made}.old`, { recursive: true, force: true });
  }
}

/** False where there is a directory already. */
async function movesTo(directory: string, made: string): Promise<boolean> {
  try {
    await rename(made, directory);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOTEMPTY", "EEXIST")) return false;
    throw error;
  }
}

async function makeSet(
  directory: string,
  known: Authority | undefined,
  names: Record<Role, string>,
  nowMs: number,
): Promise<void> {
  const authority = known ?? (await createAuthority({ name: "Kiln development CA", nowMs }));
  await writeAuthority(directory, authority);
  for (const role of ROLES) {
    const pki = await issue(authority, { name: names[role], role, validDays: LEAF_DAYS, nowMs });
    await writePki(directory, role, pki);
  }
}

/** The authority of an earlier start, so that what trusts it goes on doing so. */
async function usableAuthority(directory: string, nowMs: number): Promise<Authority | undefined> {
  const authority = await readAuthority(directory).catch(() => undefined);
  return authority === undefined || authorityFault(authority, nowMs) !== undefined ? undefined : authority;
}

function unlessMissing(error: unknown): void {
  if (!hasCode(error, "ENOENT")) throw error;
}

async function tighten(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const name of ["ca", ...ROLES]) await chmod(pkiFiles(directory, name).key, 0o600);
}
