import { posix } from "node:path";

import { z } from "zod";

const path = z
  .string()
  .refine((text) => isPlainPath(text), "expected an absolute path without '..', '//' or '/' at its end");
const word = z.string().min(1);

const network = word.refine(
  (name) => name !== "host" && !name.startsWith("container:"),
  "expected the name of a network; the host's is allowed by hostNamespaces, another container's never",
);

const device = z.string().regex(/^\/[^:]+(:[rwm]{1,3})?$/, "expected a path on the host, and perhaps :rwm");

const bind = z.strictObject({
  /** A path on the Docker host. */
  source: path,
  /** Also everything below it, except the sockets of container engines. */
  below: z.boolean().default(false),
  writable: z.boolean().default(false),
});

const deviceRequest = z.strictObject({
  /** `nvidia`, `cdi`, …; empty where the hook leaves the choice to Docker. */
  driver: z.string().default(""),
  capabilities: z.array(word).default([]),
  /** Most devices for one container; absent for any number. */
  maxCount: z.int().min(1).optional(),
});

const most = z.strictObject({ max: z.int().min(1) });

const ranges = z.strictObject({
  memoryMiB: most.optional(),
  tmpfsMiB: most.optional(),
  pids: most.optional(),
  cpuShares: z.strictObject({ min: z.int().min(2), max: z.int().max(262_144) }).optional(),
  ulimits: z.record(word, most).default({}),
});

/** What an operator allows hooks to ask for, beyond what they always may. An empty file allows nothing. */
export const guardPermits = z.strictObject({
  /** Whole fields, such as `HostConfig.Privileged`, with any value. */
  fields: z.array(word).default([]),
  devices: z.array(device).default([]),
  deviceRequests: z.array(deviceRequest).default([]),
  deviceCgroupRules: z.array(word).default([]),
  binds: z.array(bind).default([]),
  volumes: z.array(word).default([]),
  capabilities: z.array(word).default([]),
  securityOpts: z.array(word).default([]),
  runtimes: z.array(word).default([]),
  networks: z.array(network).default([]),
  hostNamespaces: z.array(z.enum(["network", "pid", "ipc", "uts", "user", "cgroup"])).default([]),
  sysctls: z.array(word).default([]),
  groups: z.array(word).default([]),
  users: z.array(z.string()).default([]),
  ranges: ranges.default({ ulimits: {} }),
});

export type GuardPermits = z.output<typeof guardPermits>;

export const NO_PERMITS: GuardPermits = guardPermits.parse({});

export function isPlainPath(text: string): boolean {
  return (
    text.startsWith("/") &&
    posix.normalize(text) === text &&
    (text === "/" || !text.endsWith("/")) &&
    !text.includes("\0")
  );
}
