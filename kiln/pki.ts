import { createPrivateKey, randomBytes, webcrypto, X509Certificate as NodeCertificate } from "node:crypto";

// Before x509, which looks for it while it loads.
import "./reflect-metadata.ts";
import * as x509 from "@peculiar/x509";

import { isKeyOf, type PkiData } from "../core/pki.ts";

/** A certificate authority with its private key: PEM text both. */
export interface Authority {
  readonly cert: string;
  readonly key: string;
}

/** The end of a connection a certificate is for: gateways dial, runners listen. */
export type Role = "gateway" | "runner";

interface Validity {
  readonly validDays?: number;
  /** Milliseconds since 1970. */
  readonly nowMs?: number;
}

export interface AuthorityOptions extends Validity {
  readonly name?: string;
}

export interface IssueOptions extends Validity {
  /** The identity that the other side checks. */
  readonly name: string;
  readonly role: Role;
}

const DAY_MS = 86_400_000;
const SIGNING = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

x509.cryptoProvider.set(webcrypto);

/** A new authority. Its subject is unlike any other's: equal ones of different keys make chains that cannot be told apart. */
export async function createAuthority(options: AuthorityOptions = {}): Promise<Authority> {
  const { name = "Kiln CA", validDays = 3_650, nowMs = Date.now() } = options;
  const keys = await generateKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [`${name} ${randomBytes(6).toString("hex")}`] }],
    ...validity(nowMs, validDays),
    signingAlgorithm: SIGNING,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pemOf(cert), key: await exportKey(keys.privateKey) };
}

/** A certificate signed by the authority, which it does not outlive. @throws Error if the authority cannot sign it */
export async function issue(authority: Authority, options: IssueOptions): Promise<PkiData> {
  const { name, role, validDays = 365, nowMs = Date.now() } = options;
  checkName(name);
  checkAuthority(authority, nowMs);
  const issuer = new x509.X509Certificate(authority.cert);
  const keys = await generateKeys();
  const { notBefore, notAfter } = validity(nowMs, validDays);
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [name] }],
    issuer: issuer.subjectName.toJSON(),
    notBefore,
    notAfter: notAfter < issuer.notAfter ? notAfter : issuer.notAfter,
    signingAlgorithm: SIGNING,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[role === "runner" ? "serverAuth" : "clientAuth"]]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(name, role)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { ca: authority.cert, cert: pemOf(cert), key: await exportKey(keys.privateKey) };
}

/** @throws Error unless the authority's two files belong together, may sign, and are valid now */
function checkAuthority({ cert, key }: Authority, nowMs: number): void {
  const certificate = new NodeCertificate(cert);
  if (!certificate.ca) throw new Error(`Cannot sign with "${oneLine(certificate.subject)}": it is no authority`);
  if (!isKeyOf(certificate, key))
    throw new Error(`Cannot sign with "${oneLine(certificate.subject)}": its key is another's`);
  if (nowMs < certificate.validFromDate.getTime() || nowMs > certificate.validToDate.getTime()) {
    throw new Error(`Cannot sign with "${oneLine(certificate.subject)}": it is valid until ${certificate.validTo}`);
  }
}

/** The name goes into a DNS entry and is typed into settings: what is no host name there would never match. */
function checkName(name: string): void {
  const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
  if (name.length <= 64 && new RegExp(`^${label}(?:\\.${label})*$`).test(name)) return;
  throw new Error(`Cannot issue a certificate for "${name}": expected letters, digits, "-" and ".", at most 64`);
}

/** A runner is also reached by tools that check the host they dial, on its own machine. */
function alternativeNames(name: string, role: Role): x509.JsonGeneralNames {
  const own: x509.JsonGeneralNames = [{ type: "dns", value: name }];
  if (role === "gateway") return own;
  return [...own, { type: "dns", value: "localhost" }, { type: "ip", value: "127.0.0.1" }];
}

function validity(nowMs: number, days: number): { notBefore: Date; notAfter: Date } {
  // A day back, for the machine whose clock is behind.
  return { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** 16 bytes, positive, and without leading zeros, which DER would shorten. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(SIGNING, true, ["sign", "verify"]);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", pkcs8, SIGNING, false, ["sign"]);
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

function oneLine(subject: string): string {
  return subject.replaceAll("\n", ", ");
}
