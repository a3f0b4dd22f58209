import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";

/** PEM text of one party of mutual TLS. */
export interface PkiData {
  /** Certificates of the authorities whose peers are believed. */
  readonly ca: string;
  readonly key: string;
  readonly cert: string;
}

export interface PkiFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Reads the three files and checks that they belong together. @throws Error naming the file at fault */
export async function loadPki(files: PkiFiles): Promise<PkiData> {
  const [cert, key, ca] = await Promise.all([read(files.cert), read(files.key), read(files.ca)]);
  parseCertificate(cert, files.cert);
  parseCertificate(ca, files.ca);
  return { cert, key, ca };
}

/**
 * The names a certificate speaks for: DNS, URI and IP entries of its SAN; the subject's CN only
 * where it has no SAN at all (RFC 6125, 6.4.4).
 */
export function certificateNames(certificate: X509Certificate): readonly string[] {
  if (certificate.subjectAltName !== undefined) {
    return certificate.subjectAltName
      .split(", ")
      .map((entry) => /^(?:DNS|URI|IP Address):"?([^"]+)"?$/.exec(entry)?.[1])
      .filter((name) => name !== undefined);
  }
  const commonName = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  return commonName === undefined ? [] : [commonName];
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`Cannot read "${path}": expected a PEM file`, { cause });
  }
}

function parseCertificate(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Error(`Cannot use "${path}": expected a PEM certificate`, { cause });
  }
}
