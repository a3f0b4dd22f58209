const NOT_PASSED = new Set(["host", "connection", "content-length", "keep-alive", "transfer-encoding", "date"]);

/** Names and values in turn, as pairs, without those that are of one connection. */
export function passedHeaders(raw: readonly string[]): { name: string; value: string }[] {
  const headers: { name: string; value: string }[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? "").toLowerCase();
    if (!NOT_PASSED.has(name)) headers.push({ name, value: raw[i + 1] ?? "" });
  }
  return headers;
}
