import { execFile, spawn } from "node:child_process";
import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import type { Docker } from "../../runner/driver/docker/engine.ts";
import type { RegistryCredentials } from "../../runner/driver/docker/images/registry-auths.ts";
import { createAuthority, issue } from "../pki.ts";

/** How a registry tells who may pull: anybody, a user with a password, or whoever has a signed token. */
export type RegistryAccess = "open" | "password" | "token";

/** The registry of Debian's docker-registry package on loopback, where Docker speaks to it without TLS. */
export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string;
  /** Of the user who may do everything; not for `token`. */
  readonly owner: RegistryCredentials;
  /** Pushes an image that Docker has, and takes the name it was pushed under away again. @returns that name */
  push(image: string, name: string): Promise<string>;
  /** A bearer token for one repository, as a registry's token server gives them out. */
  token(repository: string, actions?: readonly string[]): string;
  /** Lets nobody reach it until `resume`; what it has stays. */
  pause(): void;
  resume(): void;
}

const PROGRAM = "docker-registry";
const SERVICE = "kiln-tests";
const OWNER = { username: "cheese", password: "emmental" };
/** The password's bcrypt hash: the registry knows no other kind. */
const HTPASSWD = `${OWNER.username}:$2a$04$abcdefghijklmnopqrstuu9ViTFSKdR9kvwRHMqi/FSX8d/SBbFvG\n`;

/** Why there can be no registry here; false where there can. In CI a missing program is an error. */
export async function registryOrSkip(environment: NodeJS.ProcessEnv = process.env): Promise<string | false> {
  const there = await promisify(execFile)(PROGRAM, ["--version"], { env: environment }).then(
    () => true,
    () => false,
  );
  if (there) return false;
  const skip = `there is no ${PROGRAM}: install Debian's package of that name`;
  if (environment["CI"] === "true") throw new Error(`Cannot test with a registry: ${skip}, and CI is "true"`);
  return skip;
}

export async function dockerRegistry(docker: Docker, access: RegistryAccess = "open"): Promise<DockerRegistry> {
  await using made = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "kiln-registry-"));
  made.defer(() => rm(directory, { recursive: true, force: true }));
  const authority = await createAuthority();
  const signer = await issue(authority, { name: SERVICE, role: "gateway" });
  const host = `127.0.0.1:${await freePort()}`;
  const files = {
    htpasswd: join(directory, "htpasswd"),
    ca: join(directory, "ca.pem"),
    config: join(directory, "registry.json"),
  };
  await writeFile(files.htpasswd, HTPASSWD);
  await writeFile(files.ca, signer.ca);
  const auth = {
    open: {},
    password: { htpasswd: { realm: SERVICE, path: files.htpasswd } },
    token: { token: { realm: `http://${host}/token`, service: SERVICE, issuer: SERVICE, rootcertbundle: files.ca } },
  }[access];
  // YAML reads JSON.
  const config = { version: "0.1", log: { level: "error" }, storage: { inmemory: {} }, http: { addr: host }, auth };
  await writeFile(files.config, JSON.stringify(config));

  const child = spawn(PROGRAM, ["serve", files.config], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "close");
  made.defer(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2_000)));
  await listens(host, child, () => said);
  const token = (repository: string, actions: readonly string[] = ["pull"]) => signedToken(signer, repository, actions);
  const owned = made.move();
  return {
    host,
    owner: { ...OWNER, serveraddress: host },
    token,
    async push(image, name) {
      const full = `${host}/${name}`;
      const [repository = "", tag = "latest"] = name.split(":");
      await docker.getImage(image).tag({ repo: `${host}/${repository}`, tag });
      const authconfig =
        access === "token" ? { registrytoken: token(repository, ["pull", "push"]) } : { ...OWNER, serveraddress: host };
      await finished(await docker.getImage(full).push({ authconfig }));
      await docker.getImage(full).remove();
      return full;
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A signed JWT with the signer's certificate in it. */
function signedToken(
  { cert, key }: { readonly cert: string; readonly key: string },
  name: string,
  actions: readonly string[],
): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1_000);
  const x5c = [cert.replaceAll(/-----[A-Z ]+-----|\s/g, "")];
  const claims = { iss: SERVICE, sub: "", aud: SERVICE, nbf: now - 60, iat: now, exp: now + 3_600, jti: randomUUID() };
  const access = [{ type: "repository", name, actions }];
  const text = `${part({ typ: "JWT", alg: "ES256", x5c })}.${part({ ...claims, access })}`;
  const signature = sign("sha256", Buffer.from(text), { key: createPrivateKey(key), dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

async function finished(progress: NodeJS.ReadableStream): Promise<void> {
  let text = "";
  for await (const chunk of progress) text += String(chunk);
  const failure = /"error":"([^"]*)"/.exec(text)?.[1];
  if (failure !== undefined) throw new Error(`Cannot push: ${failure}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function listens(host: string, child: { readonly exitCode: number | null }, said: () => string): Promise<void> {
  for (let tries = 200; tries > 0; tries--) {
    if (child.exitCode !== null) break;
    const answered = await fetch(`http://${host}/v2/`).catch(() => undefined);
    await answered?.body?.cancel();
    if (answered !== undefined) return;
    await sleep(50);
  }
  throw new Error(`The registry does not listen at ${host}:\n${said()}`);
}
