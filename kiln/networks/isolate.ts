import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The part of a network that its rule needs. */
export interface IsolatedBridge {
  /** The host's network interface. */
  readonly bridge: string;
  readonly ipv6: boolean;
}

/** Which packets the host itself does not take: all from the bridge that answer nothing which the host began. */
function rule(bridge: string): readonly string[] {
  const answers = ["-m", "conntrack", "!", "--ctstate", "ESTABLISHED,RELATED"];
  return ["INPUT", "-i", bridge, ...answers, "-m", "comment", "--comment", "kiln-isolate", "-j", "DROP"];
}

/** What a root shell would run. */
export function isolateCommands({ bridge, ipv6 }: IsolatedBridge): readonly string[] {
  return programs(ipv6).map((program) => `${program} -w -I ${rule(bridge).join(" ")}`);
}

/** Keeps containers on a bridge from the host, its gateway address included; what lies beyond is reached as before. */
export async function isolate({ bridge, ipv6 }: IsolatedBridge): Promise<void> {
  for (const program of programs(ipv6)) {
    if (!(await works(program, ["-w", "-C", ...rule(bridge)]))) await run(program, ["-w", "-I", ...rule(bridge)]);
  }
}

/** Takes the rules of a bridge away again. Without one it does nothing. */
export async function endIsolation({ bridge }: IsolatedBridge): Promise<void> {
  for (const program of programs(true)) while (await works(program, ["-w", "-D", ...rule(bridge)]));
}

function programs(ipv6: boolean): readonly string[] {
  return ipv6 ? ["iptables", "ip6tables"] : ["iptables"];
}

async function works(program: string, args: readonly string[]): Promise<boolean> {
  return await run(program, args).then(
    () => true,
    () => false,
  );
}
