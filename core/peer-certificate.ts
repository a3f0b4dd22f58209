import { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate, PeerCertificate } from "node:tls";

import { pemCertificates } from "./pki.ts";

/** A peer's certificate and those above it, as its connection has them. Empty for one that showed none, or has gone. */
export function certificateChain(peer: PeerCertificate | DetailedPeerCertificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  // Null where the peer has gone meanwhile, whatever the types say.
  let next: PeerCertificate | null | undefined = peer;
  // The last one names itself as its issuer.
  while (next?.raw !== undefined) {
    const certificate = new X509Certificate(next.raw);
    if (chain.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256)) break;
    chain.push(certificate);
    next = "issuerCertificate" in next ? (next.issuerCertificate as PeerCertificate) : undefined;
  }
  return chain;
}

/** Whether an authority of the bundle vouches for the first of the chain, by way of the others if need be. */
export function isVouchedFor(chain: readonly X509Certificate[], bundle: string): boolean {
  const authorities = pemCertificates(bundle).map((pem) => new X509Certificate(pem));
  const signed = (by: X509Certificate, one: X509Certificate) => one.checkIssued(by) && one.verify(by.publicKey);
  let [current, ...others] = chain;
  while (current !== undefined) {
    const certificate = current;
    if (authorities.some((authority) => signed(authority, certificate))) return true;
    const above = others.find((other) => signed(other, certificate));
    others = others.filter((other) => other !== above);
    current = above;
  }
  return false;
}
