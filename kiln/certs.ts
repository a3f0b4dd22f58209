import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import type { Write } from "./command.ts";
import { makePrivateDirectory, readAuthority, writeAuthority, writePki } from "./pki-files.ts";
import { type Authority, createAuthority, issue, type Role } from "./pki.ts";

export const certsUsage = `npm run kiln -- certs --out DIR --name NAME --role gateway|runner [--ca DIR] [--days N]

  Makes NAME.crt, NAME.key and ca.crt in DIR: what a gateway or a runner needs on a machine of its own.
  --name  the identity: what the gateway's FN_RUNNER_CERT_NAME or the runner's FN_GATEWAY_IDENTITIES has to say
  --ca    the directory with the authority's ca.crt and ca.key, made there if it has neither; else DIR itself
  --days  how long the certificate is valid (365)
`;

interface CertsOptions {
  readonly out: string;
  readonly name: string;
  readonly role: Role;
  readonly ca: string;
  readonly days: number;
}

/** The `certs` command. @param directory what relative paths start from @throws Error saying which argument or file is wrong */
export async function certs(args: readonly string[], directory: string, write: Write): Promise<void> {
  const { out, name, role, ca, days } = readOptions(args, directory);
  await makePrivateDirectory(out);
  await makePrivateDirectory(ca);
  const authority = await authorityIn(ca, write);
  await checkSameAuthority(out, authority);
  const pki = await issue(authority, { name, role, validDays: days });
  const files = await writePki(out, name, pki);
  write(`${files.cert} is valid until ${new X509Certificate(pki.cert).validTo}. Set for the ${role}:\n`);
  write(`  FN_NODE_CERT=${files.cert}\n  FN_NODE_CERT_KEY=${files.key}\n  FN_NODE_CERT_AUTHORITY=${files.ca}\n`);
  const setting = role === "runner" ? "FN_RUNNER_CERT_NAME" : "FN_GATEWAY_IDENTITIES";
  write(`and for the ${role === "runner" ? "gateway" : "runner"}:\n  ${setting}=${name}\n`);
}

function readOptions(args: readonly string[], directory: string): CertsOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      out: { type: "string" },
      name: { type: "string" },
      role: { type: "string" },
      ca: { type: "string" },
      days: { type: "string", default: "365" },
    },
  });
  const { out, name, role, ca, days } = values;
  if (out === undefined) throw new Error("--out is missing: the directory to write to");
  if (name === undefined) throw new Error("--name is missing: the identity that the certificate carries");
  if (name === "ca") throw new Error('--name is "ca", which is the authority\'s own');
  if (role !== "gateway" && role !== "runner") {
    throw new Error(`--role is ${role === undefined ? "missing" : `"${role}"`}, expected gateway or runner`);
  }
  if (!/^[1-9]\d{0,3}$/.test(days)) throw new Error(`--days is "${days}", expected a whole number from 1 to 9999`);
  return { out: resolve(directory, out), name, role, ca: resolve(directory, ca ?? out), days: Number(days) };
}

async function authorityIn(directory: string, write: Write): Promise<Authority> {
  const known = await readAuthority(directory);
  if (known !== undefined) return known;
  const made = await createAuthority();
  await writeAuthority(directory, made);
  write(
    `Made a new authority in ${directory}. Whoever has its ca.key can be any runner or gateway: keep it off those machines.\n`,
  );
  return made;
}

/** Another authority's certificate there would no longer fit the certificates beside it. */
async function checkSameAuthority(out: string, authority: Authority): Promise<void> {
  const path = join(out, "ca.crt");
  const there = await readFile(path, "utf8").catch(() => authority.cert);
  if (there.trim() === authority.cert.trim()) return;
  throw new Error(
    `Cannot write to "${out}": its ca.crt is of another authority; choose another --out, or the --ca it is from`,
  );
}
