import { execFile } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A network namespace behind this host, with one listener. */
export interface MachineBeyond extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** This host's address on the wire to it. */
  readonly hostAddress: string;
}

// Addresses for tests of networks, which nobody has.
const HERE = "198.18.77.1";
const THERE = "198.18.77.2";
const PORT = 7_777;
const IP = "ip";

/** Needs root. */
export async function machineBeyond(): Promise<MachineBeyond> {
  const [name, card] = [`kiln-o-${process.pid}`, `ko${process.pid}`];
  await using made = new AsyncDisposableStack();
  await run(IP, ["netns", "add", name]);
  made.defer(async () => void (await run(IP, ["netns", "delete", name])));
  await run(IP, ["link", "add", card, "type", "veth", "peer", "name", "veth0", "netns", name]);
  await run(IP, ["address", "add", `${HERE}/24`, "dev", card]);
  await run(IP, ["link", "set", card, "up"]);
  await run(IP, ["-n", name, "address", "add", `${THERE}/24`, "dev", "veth0"]);
  await run(IP, ["-n", name, "link", "set", "veth0", "up"]);
  const script = `require("net").createServer((s) => s.end()).listen(${PORT}, () => console.log("ready"))`;
  const within = ["netns", "exec", name, process.execPath, "-e", script];
  const listener = execFile(IP, within);
  made.defer(() => void listener.kill());
  if (listener.stdout !== null) await once(listener.stdout, "data");
  const owned = made.move();
  return { address: THERE, port: PORT, hostAddress: HERE, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The rules for packets to this host that name this. */
export async function rulesNaming(text: string): Promise<readonly string[]> {
  const { stdout } = await run("iptables", ["-S", "INPUT"]);
  return stdout.split("\n").filter((line) => line.includes(text));
}
