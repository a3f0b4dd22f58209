import { basename } from "node:path/posix";
import { isDeepStrictEqual } from "node:util";

import { SOCKET_TARGET } from "./container-options.ts";
import {
  isInteger,
  isList,
  isObject,
  member,
  members,
  objection,
  shown,
  strings,
  type Asked,
  type Objection,
  type Rule,
} from "./guard-field.ts";
import { isPlainPath } from "./guard-permits.ts";
import type { Plain, PlainObject } from "./plain-data.ts";

const MIB = 1_048_576;
/** Whoever can talk to one of these owns the host. */
const ENGINE_SOCKETS = ["docker.sock", "containerd.sock", "podman.sock", "crio.sock", "buildkitd.sock"];

/** The socket directory's mount stays as it is; others are each allowed. */
export const mounts: Rule = (asked) => {
  if (!isList(asked.value)) return objection(asked, "the socket directory's mount may not be dropped");
  const list = asked.value;
  const own = isList(asked.built) ? asked.built : [];
  if (own.some((mount) => list.filter((other) => isDeepStrictEqual(other, mount)).length !== 1)) {
    return objection(asked, "the socket directory's mount stays as it is");
  }
  const others = list.filter((mount) => !own.some((each) => isDeepStrictEqual(each, mount)));
  for (const mount of others) {
    const refusal = judge(mount, asked);
    if (refusal !== undefined) return refusal;
  }
  return tmpfsBudget(asked);
};

/** The older way to write a mount: `source:target[:options]`. */
export const binds: Rule = (asked) => {
  const items = strings(asked.value);
  if (items === undefined) return objection(asked, "expected a list of strings");
  for (const item of items) {
    const [source = "", target = "", options = "", ...more] = item.split(":");
    const words = options === "" ? [] : options.split(",");
    const strange = words.find((word) => !["ro", "rw", "private", "rprivate", "nocopy"].includes(word));
    if (strange !== undefined || more.length > 0) return objection(asked, `expected source:target, perhaps with :ro`);
    const Type = source.startsWith("/") ? "bind" : "volume";
    const refusal = judge({ Type, Source: source, Target: target, ReadOnly: words.includes("ro") }, asked);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
};

function judge(mount: Plain, asked: Asked): Objection | undefined {
  const target = member(mount, "Target");
  if (typeof target !== "string" || !isPlainPath(target) || hides(target, SOCKET_TARGET)) {
    return objection(asked, `target ${JSON.stringify(target)} is no place for a mount`);
  }
  switch (member(mount, "Type")) {
    case "bind":
      return judgeBind(mount, asked);
    case "volume":
      return judgeVolume(mount, asked);
    case "tmpfs":
      return judgeTmpfs(mount, asked);
    default:
      return objection(asked, `a mount of type ${JSON.stringify(member(mount, "Type"))} is not allowed`);
  }
}

/** Whether what is mounted there would hide or replace the socket directory. */
function hides(target: string, socketDirectory: string): boolean {
  return target === "/" || target === socketDirectory || target.startsWith(`${socketDirectory}/`);
}

function judgeBind(mount: Plain, asked: Asked): Objection | undefined {
  const source = member(mount, "Source");
  const writable = member(mount, "ReadOnly") !== true;
  const permit = `binds: [{ source: ${JSON.stringify(source ?? "")}, writable: ${writable} }]`;
  if (typeof source !== "string" || !isPlainPath(source))
    return objection(asked, "expected an absolute source without '..'");
  const allowed = asked.permits.binds.some((bind) => {
    const exact = bind.source === source;
    const below =
      bind.below && source.startsWith(bind.source === "/" ? "/" : `${bind.source}/`) && !isEngineSocket(source);
    return (exact || below) && (bind.writable || !writable);
  });
  if (!allowed) return objection(asked, `a bind of ${source}${writable ? ", writable," : ""} is not allowed`, permit);
  const options = member(mount, "BindOptions");
  const propagation = member(options, "Propagation") ?? "";
  if (!["", "private", "rprivate"].includes(shown(propagation))) return objection(asked, "mounts are not propagated");
  return member(options, "CreateMountpoint") === true
    ? objection(asked, "no directory is made on the host")
    : undefined;
}

function isEngineSocket(path: string): boolean {
  return ENGINE_SOCKETS.includes(basename(path));
}

function judgeVolume(mount: Plain, asked: Asked): Objection | undefined {
  const name = member(mount, "Source");
  if (typeof name !== "string" || !asked.permits.volumes.includes(name)) {
    return objection(
      asked,
      `volume ${JSON.stringify(name ?? "")} is not allowed`,
      `volumes: [${JSON.stringify(name ?? "")}]`,
    );
  }
  // A volume driver's options can name any path of the host.
  const options = member(mount, "VolumeOptions");
  const said = ["DriverConfig", "Labels"].find((each) => member(options, each) !== undefined);
  return said === undefined ? undefined : objection(asked, `VolumeOptions.${said} may not be set`);
}

function judgeTmpfs(mount: Plain, asked: Asked): Objection | undefined {
  const options = member(mount, "TmpfsOptions");
  if (!isInteger(member(options, "SizeBytes"), 1, Number.MAX_SAFE_INTEGER))
    return objection(asked, "a tmpfs needs a size");
  return member(options, "Options") === undefined ? undefined : objection(asked, "TmpfsOptions.Options may not be set");
}

const SAFE_WORDS = ["rw", "ro", "nosuid", "nodev", "noexec"];
const SAFE_KEYS = ["size", "nr_inodes", "mode", "uid", "gid"];

/** Memory as file systems: sized, and without programs, devices and set-uid files. */
export const tmpfs: Rule = (asked) => {
  const listed = `fields: [${asked.path}]`;
  if (asked.value !== undefined && !isObject(asked.value)) return objection(asked, "expected options by directory");
  for (const [target, options] of members(asked.value)) {
    if (options === member(asked.built, target)) continue;
    if (!isPlainPath(target) || hides(target, SOCKET_TARGET))
      return objection(asked, `"${target}" is no place for a mount`);
    const words = typeof options === "string" ? options.split(",") : [];
    const keys = words.map((word) => word.split("=")[0] ?? "");
    const strange = words.find(
      (word) => !(SAFE_WORDS.includes(word) || (word.includes("=") && SAFE_KEYS.includes(word.split("=")[0] ?? ""))),
    );
    if (strange !== undefined) return objection(asked, `"${strange}" is not allowed at "${target}"`, listed);
    if (new Set(keys).size !== keys.length) return objection(asked, `an option comes twice at "${target}"`);
    // A size of 0 means no limit.
    if ((sizeOf(options) ?? 0) === 0) return objection(asked, `"${target}" needs a size`, listed);
  }
  return tmpfsBudget(asked);
};

/** All tmpfs together: no more than the container's memory, unless the driver itself gave more or a range allows it. */
function tmpfsBudget(asked: Asked): Objection | undefined {
  const memory = member(asked.options["HostConfig"], "Memory");
  const range = (asked.permits.ranges.tmpfsMiB?.max ?? 0) * MIB;
  const most = Math.max(typeof memory === "number" ? memory : 0, range, tmpfsBytes(asked.builtOptions));
  const bytes = tmpfsBytes(asked.options);
  if (bytes <= most) return undefined;
  const permit = `ranges: { tmpfsMiB: { max: ${Math.ceil(bytes / MIB)} } }`;
  return objection(asked, `all tmpfs together are ${bytes} bytes, expected at most ${most}`, permit);
}

function tmpfsBytes(options: PlainObject): number {
  const host = options["HostConfig"];
  const sizes = members(member(host, "Tmpfs")).map(([, mount]) => sizeOf(mount) ?? 0);
  const list = member(host, "Mounts");
  const mounts = isList(list) ? list.map((mount) => member(member(mount, "TmpfsOptions"), "SizeBytes")) : [];
  return [...sizes, ...mounts].reduce<number>((sum, size) => sum + (typeof size === "number" ? size : 0), 0);
}

function sizeOf(options: Plain): number | undefined {
  const size = typeof options === "string" ? /(?:^|,)size=(\d{1,12})([kmg]?)(?:,|$)/i.exec(options) : null;
  if (size === null) return undefined;
  const unit = { "": 1, k: 1_024, m: MIB, g: 1_024 * MIB }[size[2]?.toLowerCase() ?? ""] ?? 1;
  return Number(size[1]) * unit;
}
