import { X509Certificate } from "node:crypto";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { certificateNames, isKeyOf, type PkiData, type PkiFiles } from "../core/pki.ts";
import { readIfThere } from "./file-errors.ts";
import type { Authority } from "./pki.ts";

const DAY_MS = 86_400_000;

/** A certificate this near its end is renewed: a start may then stay up for days. */
const RENEWAL_DAYS = 7;

/** Where `NAME`'s certificate and key lie in a directory, with the authority's certificate. */
export function pkiFiles(directory: string, name: string): PkiFiles {
  return { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`), ca: join(directory, "ca.crt") };
}

/** The authority of a directory: undefined if it has none. @throws Error if it has one of the two files only */
export async function readAuthority(directory: string): Promise<Authority | undefined> {
  const { cert, key } = pkiFiles(directory, "ca");
  const [certText, keyText] = await Promise.all([readIfThere(cert), readIfThere(key)]);
  if (certText !== undefined && keyText !== undefined) return { cert: certText, key: keyText };
  if (certText === undefined && keyText === undefined) return undefined;
  const [there, missing] = certText === undefined ? [key, cert] : [cert, key];
  throw new Error(`Cannot use the authority in "${directory}": "${missing}" is missing beside "${there}"`);
}

export async function writeAuthority(directory: string, authority: Authority): Promise<void> {
  const files = pkiFiles(directory, "ca");
  await writePrivate(files.key, authority.key);
  await writeFile(files.cert, authority.cert);
}

/** Writes certificate, key and the authority's certificate. */
export async function writePki(directory: string, name: string, pki: PkiData): Promise<PkiFiles> {
  const files = pkiFiles(directory, name);
  await writePrivate(files.key, pki.key);
  await writeFile(files.cert, pki.cert);
  await writeFile(files.ca, pki.ca);
  return files;
}

/** Makes the directory for its owner alone. One that is there keeps its mode. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
}

/** Why a certificate will not do, or undefined if it will: for its key, its authority, its name and its time. */
export function certificateFault(pki: PkiData, nowMs: number, name?: string): string | undefined {
  const certificate = parse(pki.cert);
  const authority = parse(pki.ca);
  if (certificate === undefined || authority === undefined) return "is no PEM certificate";
  if (!isKeyOf(certificate, pki.key)) return "does not belong to its key";
  if (!authority.ca || !certificate.verify(authority.publicKey)) return "is not signed by ca.crt";
  if (name !== undefined && !certificateNames(certificate).includes(name)) return `does not carry the name ${name}`;
  if (Date.parse(certificate.validFrom) > nowMs) return `is not valid before ${certificate.validFrom}`;
  if (Date.parse(certificate.validTo) < nowMs + RENEWAL_DAYS * DAY_MS) return `is valid until ${certificate.validTo}`;
  return undefined;
}

/** Why an authority will not do, or undefined if it will. */
export function authorityFault({ cert, key }: Authority, nowMs: number): string | undefined {
  return certificateFault({ cert, key, ca: cert }, nowMs);
}

async function writePrivate(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  // The mode above is only for a file that is new.
  await chmod(path, 0o600);
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
