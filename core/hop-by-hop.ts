const HOP_BY_HOP = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Whether a header is of one connection and must not travel on (RFC 9110, 7.6.1; `TE: trailers` may). */
export function isHopByHop(name: string, value: string): boolean {
  const lower = name.toLowerCase();
  return HOP_BY_HOP.has(lower) && !(lower === "te" && value === "trailers");
}
