/** What every container gets, whatever its function says. */
export interface Sandbox {
  /** Processes and threads at once. Docker counts them per container, unlike the ulimit `nproc`. */
  readonly pids: number;
  /** By Docker's names; the soft limit is the hard one. */
  readonly ulimits: Readonly<Record<string, number>>;
  /** False gives functions a root filesystem they can write to, on the host's disk and without a quota. */
  readonly readonlyRoot: boolean;
  /** Of what a container may write to its root filesystem, where the storage driver can tell; 0 sets no limit. */
  readonly rootMiB: number;
  /** Size of /tmp where the function asks for none; a small function gets half of its memory. */
  readonly defaultTmpfsMiB: number;
  /** Files and directories in /tmp; 0 leaves it to the kernel. */
  readonly tmpfsInodes: number;
  readonly user: string;
  /** Taken in turn; none means Docker's default bridge. */
  readonly networks: readonly string[];
  /** Docker's name of another OCI runtime; empty for the daemon's default. */
  readonly runtime: string;
  /** The daemon's path of a PEM file: the authorities of syslogs over TLS; empty for those of its machine. */
  readonly syslogCa: string;
  /** Where the daemon sees another file system than the runner: a prefix of the socket directories and what replaces it. */
  readonly socketPrefix: { readonly runner: string; readonly docker: string } | undefined;
}

export const DEFAULT_SANDBOX: Sandbox = {
  pids: 50,
  ulimits: { nofile: 350, memlock: 65_536, sigpending: 5_000, msgqueue: 819_200 },
  readonlyRoot: true,
  rootMiB: 0,
  defaultTmpfsMiB: 64,
  tmpfsInodes: 0,
  user: "1000:1000",
  networks: [],
  runtime: "",
  syslogCa: "",
  socketPrefix: undefined,
};

/** The size of a function's /tmp. Files there count as its memory, so a default never takes more than half of it. */
export function tmpfsMiB(task: { readonly memoryMiB: number; readonly tmpfsMiB: number }, sandbox: Sandbox): number {
  if (task.tmpfsMiB > 0) return task.tmpfsMiB;
  return Math.max(1, Math.min(sandbox.defaultTmpfsMiB, Math.floor(task.memoryMiB / 2)));
}
