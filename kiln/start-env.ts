import { type Environment, readSettings, type SettingTable, unknownSettings } from "../core/config.ts";
import { isLoopback } from "../core/loopback.ts";
import type { PkiFiles } from "../core/pki.ts";
import { GATEWAY_SETTINGS } from "../gateway/settings.ts";
import { RUNNER_SETTINGS } from "../runner/settings.ts";

/** What a start decides itself, since the two processes have to agree on it. */
const OWN = [
  "FN_NODE_CERT",
  "FN_NODE_CERT_KEY",
  "FN_NODE_CERT_AUTHORITY",
  "FN_RUNNER_ADDRESSES",
  "FN_RUNNER_CERT_NAME",
  "FN_GATEWAY_IDENTITIES",
];

/** A line for each setting of the user's that will have no effect. */
export function startWarnings(env: Environment): readonly string[] {
  const ignored = Object.keys(env).filter((name) => OWN.includes(settingOf(name)));
  return [
    ...ignored.map((name) => `${name} has no effect here: start makes certificates and addresses itself`),
    ...unknownSettings(env, GATEWAY_SETTINGS, RUNNER_SETTINGS),
  ];
}

/** The gateway's environment: the user's, without what is the runner's alone. `defaults` give way to the user's. */
export function gatewayEnv(env: Environment, pki: PkiFiles, runnerAddress: string, defaults: Environment): Environment {
  return { ...defaults, ...known(env, GATEWAY_SETTINGS), ...pkiSettings(pki), FN_RUNNER_ADDRESSES: runnerAddress };
}

/**
 * The runner's environment. It is for this machine's gateway only, wherever that one listens; images of this machine
 * are for that gateway's callers only where they are on this machine too.
 */
export function runnerEnv(env: Environment, pki: PkiFiles, defaults: Environment): Environment {
  const gateway = readSettings({ FN_BIND: GATEWAY_SETTINGS.FN_BIND }, env);
  const own = known(env, RUNNER_SETTINGS);
  // The gateway takes the port that was asked for: the runner's log says which one it found.
  const admin = Object.keys(own).some((name) => settingOf(name) === "FN_ADMIN_PORT")
    ? { FN_ADMIN_PORT: "0", FN_ADMIN_BIND: "127.0.0.1" }
    : {};
  const images = { FN_ALLOW_LOCAL_IMAGES: String(isLoopback(gateway.FN_BIND)) };
  return { ...images, ...defaults, ...own, ...pkiSettings(pki), ...admin, FN_BIND: "127.0.0.1" };
}

function known(env: Environment, table: SettingTable): Environment {
  const kept = Object.entries(env).filter(([name, value]) => {
    if (!name.startsWith("FN_")) return true;
    return value !== "" && settingOf(name) in table && !OWN.includes(settingOf(name));
  });
  return Object.fromEntries(kept);
}

function pkiSettings({ cert, key, ca }: PkiFiles): Environment {
  return { FN_NODE_CERT: cert, FN_NODE_CERT_KEY: key, FN_NODE_CERT_AUTHORITY: ca };
}

/** `NAME_FILE` names a file with the value of `NAME`. */
function settingOf(name: string): string {
  return name in GATEWAY_SETTINGS || name in RUNNER_SETTINGS ? name : name.replace(/_FILE$/, "");
}
