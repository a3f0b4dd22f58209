import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { connectEngine, pingEngine, type Docker } from "../../runner/driver/docker/engine.ts";

const run = promisify(execFile);

export interface PrivateDaemonOptions {
  /** What its images and containers may take, all of it in memory. */
  readonly diskMiB?: number;
}

/** A Docker daemon of the test's own, in network and mount namespaces of its own: it may be stopped, hung and filled. */
export interface PrivateDaemon extends AsyncDisposable {
  /** As DOCKER_HOST has it. */
  readonly host: string;
  readonly engine: Docker;
  /** Where it keeps images and containers. */
  readonly disk: string;
  /** Starts it if it does not run, and lets it go on if it hangs. */
  start(): Promise<void>;
  /** Ends it and waits until it is gone. SIGTERM ends its containers too, SIGKILL leaves them as they are. */
  stop(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** From now on containers live on while it is stopped, or do not. */
  keepContainers(live: boolean): Promise<void>;
  /** Lets it do nothing more, not even refuse, until `resume`. */
  hang(): void;
  resume(): void;
}

/** Why there can be no daemon here; false where there can. In CI a missing program is an error. */
export async function privateDaemonOrSkip(environment: NodeJS.ProcessEnv = process.env): Promise<string | false> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root may start a Docker daemon";
  for (const program of ["dockerd", "unshare", "nsenter"]) {
    const there = await run(program, ["--version"], { env: environment }).then(
      () => true,
      () => false,
    );
    if (there) continue;
    if (environment["CI"] === "true") throw new Error(`Cannot test a Docker daemon: no ${program}, and CI is "true"`);
    return `there is no ${program}`;
  }
  return false;
}

/** It must not touch the machine's network: the bridge it makes is in its own namespace. */
const NO_HOST = ["--iptables=false", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=false"];

export async function privateDaemon({ diskMiB = 600 }: PrivateDaemonOptions = {}): Promise<PrivateDaemon> {
  await using made = new AsyncDisposableStack();
  // Short: containerd's sockets lie below, and a socket's path has little room.
  const directory = await mkdtemp("/tmp/kiln-d-");
  made.defer(() => rm(directory, { recursive: true, force: true }));
  const disk = join(directory, "data");
  await mkdir(disk);
  await run("mount", ["-t", "tmpfs", "-o", `size=${diskMiB}m`, "kiln-private-daemon", disk]);
  made.defer(() => unmounted(disk));
  // What is mounted later outside, such as a runner's directories, is seen inside too.
  const holder = spawn("unshare", ["-n", "-m", "--propagation", "slave", "sleep", "infinity"], { stdio: "ignore" });
  made.defer(() => ended(holder, "SIGKILL"));
  await once(holder, "spawn");
  const inside = ["-t", String(holder.pid), "-n", "-m"];
  await retried(() => run("nsenter", [...inside, "ip", "link", "set", "lo", "up"]));

  const config = join(directory, "daemon.json");
  await writeFile(config, "{}");
  const host = `unix://${join(directory, "s")}`;
  const engine = connectEngine({ host });
  let daemon: ChildProcess | undefined;
  let said = "";
  const stop = async (signal: "SIGTERM" | "SIGKILL") => {
    const child = daemon;
    daemon = undefined;
    if (child === undefined) return;
    await ended(child, signal);
    // Its containerd dies with it, and leaves what the next one would take for one that lives.
    await retried(async () => assertNone(await processesIn(join(directory, "x", "containerd", "containerd.toml"))));
    for (const name of ["containerd.pid", "containerd.sock", "containerd.sock.ttrpc"]) {
      await rm(join(directory, "x", "containerd", name), { force: true });
    }
  };
  const start = async () => {
    if (daemon !== undefined) return void daemon.kill("SIGCONT");
    const paths = ["--data-root", disk, "--exec-root", join(directory, "x"), "--pidfile", join(directory, "pid")];
    paths.push("--config-file", config);
    const child = spawn("nsenter", [...inside, "dockerd", "--host", host, ...paths, ...NO_HOST], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    daemon = child;
    child.stderr.on("data", (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4_000)));
    for (let tries = 300; tries > 0 && child.exitCode === null; tries--) {
      if ((await pingEngine(engine, 1_000)) !== undefined) return;
      await sleep(50);
    }
    throw new Error(`The private Docker daemon does not answer:\n${said}`);
  };
  made.defer(async () => {
    daemon?.kill("SIGCONT");
    await stop("SIGTERM");
    // Of a daemon that was killed and did not start again.
    for (const pid of await processesIn(directory)) process.kill(pid, "SIGKILL");
  });
  await start();
  const owned = made.move();
  return {
    host,
    engine,
    disk,
    start,
    stop,
    async keepContainers(live) {
      await writeFile(config, JSON.stringify({ "live-restore": live }));
      daemon?.kill("SIGHUP");
      await retried(async () => {
        const { LiveRestoreEnabled } = (await engine.info()) as { readonly LiveRestoreEnabled: boolean };
        if (LiveRestoreEnabled !== live) throw new Error("The private daemon did not read its configuration");
      });
    },
    hang: () => void daemon?.kill("SIGSTOP"),
    resume: () => void daemon?.kill("SIGCONT"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
}

/** The processes that have the path on their command lines. */
async function processesIn(path: string): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).includes(path)),
  );
  return pids.filter((_pid, i) => found[i]);
}

function assertNone(pids: readonly number[]): void {
  if (pids.length > 0) throw new Error(`Processes ${pids.join(", ")} of the private daemon are still there`);
}

/** A daemon that was killed may leave mounts of containers below, until those have ended. */
async function unmounted(path: string): Promise<void> {
  await run("umount", ["--recursive", path]).catch(() => run("umount", ["--lazy", path]));
}

async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 40; ; tries--) {
    try {
      return await work();
    } catch (error) {
      if (tries === 0) throw error;
      await sleep(25);
    }
  }
}
