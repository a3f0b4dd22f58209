import { createPrivateKey, X509Certificate } from "node:crypto";
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

/** Certificates that may be replaced while they are used: whoever opens a connection asks for the current ones. */
export interface PkiSource {
  readonly current: PkiData;
  /** Calls `changed` after every replacement; returns the unsubscriber. */
  onChange(changed: () => void): () => void;
}

/** What never changes, as a source; a source as it is. */
export function pkiSource(pki: PkiData | PkiSource): PkiSource {
  return "current" in pki ? pki : { current: pki, onChange: () => () => {} };
}

const NO_FILES =
  "Cannot do without certificates: FN_NODE_CERT, FN_NODE_CERT_KEY and FN_NODE_CERT_AUTHORITY name their files, " +
  "which `npm run kiln -- certs` makes";

/** Reads the three files and checks that they belong together. @throws Error naming the file at fault */
export async function loadPki(files: PkiFiles): Promise<PkiData> {
  if ([files.cert, files.key, files.ca].includes("")) throw new Error(NO_FILES);
  const [cert, key, ca] = await Promise.all([read(files.cert), read(files.key), read(files.ca)]);
  const own = parseCertificate(cert, files.cert);
  const authorities = pemCertificates(ca);
  if (authorities.length === 0) throw new Error(`Cannot use "${files.ca}": expected a PEM certificate`);
  for (const authority of authorities) parseCertificate(authority, files.ca);
  if (!isKeyOf(own, key)) throw new Error(`Cannot use "${files.key}": it is not the key of "${files.cert}"`);
  return { cert, key, ca };
}

/** Whether the PEM text is the private key of the certificate. */
export function isKeyOf(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
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

/** The certificates of a bundle, one PEM text each. */
export function pemCertificates(bundle: string): readonly string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
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
