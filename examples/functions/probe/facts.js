"use strict";
// What the function can see of its sandbox. Every fact is read afresh and none of them changes anything.

const fs = require("node:fs");
const os = require("node:os");

const PLACES = ["/", "/etc", "/function", "/tmp", "/tmp/iofs", "/dev/shm", "/proc/sys/kernel", "/sys/fs/cgroup"];
const CGROUP_FILES = {
  cpu: ["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"],
  cpuset: ["cpuset.cpus"],
  memory: ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max_usage_in_bytes"],
  pids: ["pids.max", "pids.current"],
  "": [
    "cpu.weight",
    "cpu.max",
    "cpuset.cpus.effective",
    "memory.max",
    "memory.swap.max",
    "memory.peak",
    "pids.max",
    "pids.current",
  ],
};

const FACTS = {
  identity: () => ({
    uid: process.getuid(),
    gid: process.getgid(),
    groups: process.getgroups(),
    pid: process.pid,
    ppid: process.ppid,
    hostname: os.hostname(),
    cwd: process.cwd(),
    umask: process.umask(),
    argv: process.argv,
    node: process.version,
  }),
  env: () => ({ ...process.env }),
  status: () => fields("/proc/self/status", /^(\w+):\s*(.*)$/),
  limits: () => fields("/proc/self/limits", /^(Max [a-z ]+?)\s{2,}(\S+)/),
  mounts: () => read("/proc/self/mounts").trim().split("\n").map(mount),
  cgroup,
  namespaces: () => Object.fromEntries(names("/proc/self/ns").map((name) => [name, readLink(`/proc/self/ns/${name}`)])),
  network: () => os.networkInterfaces(),
  devices: () => names("/dev"),
  writable: ({ writablePaths = PLACES }) => Object.fromEntries(writablePaths.map((path) => [path, writable(path)])),
  space: ({ writablePaths = PLACES }) => Object.fromEntries(writablePaths.map((path) => [path, space(path)])),
  memory: () => ({
    ...process.memoryUsage(),
    total: os.totalmem(),
    cpus: os.availableParallelism(),
  }),
};

/** The facts asked for, by name, or all of them. */
function gatherFacts(control) {
  if (!control.facts) return undefined;
  const wanted = control.facts === true ? Object.keys(FACTS) : control.facts;
  return Object.fromEntries(wanted.map((name) => [name, FACTS[name]?.(control) ?? "unknown fact"]));
}

/** The container's id, as far as cgroup v1 shows it. */
function dockerId() {
  return /\/docker\/(\w+)$/m.exec(read("/proc/self/cgroup"))?.[1] ?? "";
}

function mount(line) {
  const [source, target, type, options] = line.split(" ");
  return { source, target, type, options: options.split(",") };
}

/** Own limits in either version of cgroups, in a container (where they are at the top) or outside of one. */
function cgroup() {
  const lines = read("/proc/self/cgroup").trim().split("\n");
  const files = {};
  for (const [controller, wanted] of Object.entries(CGROUP_FILES)) {
    const line = lines.find((each) => each.split(":")[1].split(",").includes(controller));
    if (line === undefined) continue;
    const own = line.split(":").slice(2).join(":");
    for (const name of wanted) {
      const places = [`/sys/fs/cgroup/${controller}${own}/${name}`, `/sys/fs/cgroup/${controller}/${name}`];
      const found = places.find((path) => fs.existsSync(path));
      if (found !== undefined) files[name] = read(found).trim();
    }
  }
  return { lines, files };
}

function writable(path) {
  try {
    fs.accessSync(path, fs.constants.W_OK);
    return "yes";
  } catch (reason) {
    return reason.code;
  }
}

function space(path) {
  try {
    const { bsize, blocks, bavail, files, ffree } = fs.statfsSync(path);
    return { bytes: bsize * blocks, free: bsize * bavail, inodes: files, inodesFree: ffree };
  } catch (reason) {
    return reason.code;
  }
}

function fields(path, pattern) {
  const matches = read(path)
    .split("\n")
    .map((line) => pattern.exec(line));
  return Object.fromEntries(matches.filter(Boolean).map(([, name, value]) => [name, value]));
}

function read(path) {
  try {
    return fs.readFileSync(path, "utf8");
  } catch (reason) {
    return reason.code;
  }
}

function readLink(path) {
  try {
    return fs.readlinkSync(path);
  } catch (reason) {
    return reason.code;
  }
}

function names(path) {
  try {
    return fs.readdirSync(path);
  } catch (reason) {
    return [reason.code];
  }
}

module.exports = { dockerId, gatherFacts, names };
