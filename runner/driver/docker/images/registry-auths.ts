import { z } from "zod";

import { isHub, type ImageReference } from "./image-reference.ts";

/** What the Engine shows a registry on somebody's behalf, in dockerode's form. A secret. */
export type RegistryCredentials =
  | { readonly username: string; readonly password: string; readonly serveraddress: string }
  | { readonly identitytoken: string; readonly serveraddress: string }
  | { readonly registrytoken: string };

/** Whose credentials are for which registry. */
export interface RegistryAuths {
  /** Undefined where there are none: whoever asks is then nobody in particular. */
  find(image: ImageReference, appName: string): RegistryCredentials | undefined;
  /** Whether the app has some that others have not. */
  hasOwn(appName: string): boolean;
}

export const NO_AUTHS: RegistryAuths = { find: () => undefined, hasOwn: () => false };

const entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
});
const auths = z.record(z.string(), entry);
const config = z.object({
  auths: auths.optional(),
  apps: z.record(z.string(), z.object({ auths })).optional(),
});

interface HostEntry {
  readonly host: string;
  /** The entry names this host itself; otherwise a domain below it. */
  readonly itself: boolean;
  readonly credentials: RegistryCredentials;
}

/** Docker Hub's names, in the order in which Fn looks them up. */
const HUB_HOSTS = ["hub.docker.com", "index.docker.io", "docker.io"];

/**
 * Reads a Docker `config.json`: `auths` by registry, for every app; and beside it `apps`, by the app's name, each with
 * `auths` of its own that come first. The oldest form, registries without `auths` around them, is read too.
 * @throws Error naming the place, never a value
 */
export function parseRegistryAuths(text: string, source: string): RegistryAuths {
  const read = config.safeParse(inNewForm(parseJson(text, source)));
  if (!read.success) {
    const [issue] = read.error.issues;
    throw unreadable(source, `${issue?.path.join(".")}: ${issue?.message}`);
  }
  const everyone = hostEntries(read.data.auths ?? {}, source);
  const apps = new Map(
    Object.entries(read.data.apps ?? {}).map(([app, own]) => [app, hostEntries(own.auths, `${source}, apps.${app}`)]),
  );
  return {
    find: ({ registry }, appName) => lookUp(apps.get(appName) ?? [], registry) ?? lookUp(everyone, registry),
    hasOwn: (appName) => apps.has(appName),
  };
}

function parseJson(text: string, source: string): object {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null) return json;
  } catch {
    // Its message quotes what was read.
  }
  throw unreadable(source, "expected the JSON of a Docker config.json");
}

function inNewForm(json: object): object {
  if ("auths" in json || "apps" in json) return json;
  // Docker keeps other things in its file too.
  const isEntry = (value: unknown) => typeof value === "object" && value !== null && "auth" in value;
  return { auths: Object.fromEntries(Object.entries(json).filter(([, value]) => isEntry(value))) };
}

function hostEntries(read: z.infer<typeof auths>, place: string): readonly HostEntry[] {
  return Object.entries(read).flatMap(([address, fields]) => {
    const credentials = credentialsOf(fields, address, place);
    if (credentials === undefined) return [];
    return registryHosts(address).map((host, i) => ({ host, itself: i === 0, credentials }));
  });
}

function credentialsOf(
  { auth = "", username = "", password = "", identitytoken = "", registrytoken = "" }: z.infer<typeof entry>,
  serveraddress: string,
  place: string,
): RegistryCredentials | undefined {
  if (registrytoken !== "") return { registrytoken };
  if (identitytoken !== "") return { identitytoken, serveraddress };
  if (username !== "") return { username, password, serveraddress };
  // Docker leaves an empty entry where the secret is in a credential store.
  if (auth === "") return undefined;
  const decoded = Buffer.from(auth, "base64").toString();
  const colon = decoded.indexOf(":");
  if (colon < 1) throw unreadable(place, `auth of ${serveraddress}: expected user:password in base64`);
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1), serveraddress };
}

/**
 * The host an entry names, then its parent domains of two labels and more, each with the port:
 * `https://top.cheese.org:5000` is for `cheese.org:5000` too. An address of numbers has no parents.
 */
export function registryHosts(address: string): readonly string[] {
  const [authority = ""] = address.replace(/^[a-z]+:\/\//i, "").split("/");
  const [, name = "", port = ""] = /^(.*?)(:\d+)?$/.exec(authority) ?? [];
  if (name === "") return [];
  if (/^[\d.]+$|^\[/.test(name)) return [name + port];
  const labels = name.split(".");
  const parents = labels.slice(0, -2).map((_, i) => labels.slice(i + 1).join("."));
  return [name, ...parents].map((host) => host + port);
}

/** An entry that names the registry itself goes before one that covers it. */
function lookUp(entries: readonly HostEntry[], registry: string): RegistryCredentials | undefined {
  const hosts = isHub(registry) ? HUB_HOSTS : [registry];
  const matching = entries.filter(({ host }) => hosts.includes(host));
  return (matching.find(({ itself }) => itself) ?? matching[0])?.credentials;
}

function unreadable(place: string, fault: string): Error {
  return new Error(`Cannot read registry credentials in ${place}: ${fault}`);
}
