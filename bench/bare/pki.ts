import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SecureVersion } from "node:tls";

/** What one side of a bare program presents and believes. */
export function pkiOf(side: "gateway" | "runner", directory: string) {
  const pem = (name: string) => readFileSync(join(directory, name));
  return {
    key: pem(`${side}.key`),
    cert: pem(`${side}.crt`),
    ca: pem("ca.crt"),
    minVersion: "TLSv1.3" satisfies SecureVersion,
  } as const;
}
