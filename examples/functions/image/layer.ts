import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { posix } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { pack, type Pack } from "tar-stream";

/** One entry of an image layer. Owner is always root, time always the epoch: equal input, equal layer. */
export type LayerEntry =
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly bytes: Buffer }
  | LargeFile;

/** A file too large to hash on every run: `identity` stands for its content. */
export interface LargeFile {
  readonly kind: "large file";
  readonly path: string;
  readonly mode: number;
  readonly source: string;
  readonly size: number;
  readonly identity: string;
}

/** Hashes everything that would go into the image, so that an unchanged one need not be built again. */
export function hashLayer(entries: readonly LayerEntry[], ...settings: unknown[]): string {
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const entry of sorted(entries)) {
    const content = entry.kind === "file" ? digest(entry.bytes) : "";
    const identity = entry.kind === "large file" ? [entry.size, entry.identity] : [];
    hash.update(JSON.stringify([entry.kind, entry.path, entry.mode, content, ...identity]));
  }
  return hash.digest("hex");
}

/** The layer as a tar stream. Parent directories are added, since engines differ in the mode they give missing ones. */
export function tarLayer(entries: readonly LayerEntry[]): Readable {
  const tar = pack();
  fill(tar, withParents(entries)).catch((reason: unknown) => {
    tar.destroy(reason instanceof Error ? reason : new Error(String(reason)));
  });
  return Readable.from(tar, { objectMode: false });
}

async function fill(tar: Pack, entries: readonly LayerEntry[]): Promise<void> {
  for (const entry of entries) {
    const header = { name: entry.path, mode: entry.mode, mtime: new Date(0), uid: 0, gid: 0 };
    if (entry.kind === "directory") tar.entry({ ...header, type: "directory" });
    else if (entry.kind === "file") tar.entry(header, entry.bytes);
    else await pipeline(createReadStream(entry.source), tar.entry({ ...header, size: entry.size }));
  }
  tar.finalize();
}

function withParents(entries: readonly LayerEntry[]): LayerEntry[] {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries) {
    for (let parent = posix.dirname(path); parent !== "."; parent = posix.dirname(parent)) {
      if (!byPath.has(parent)) byPath.set(parent, { kind: "directory", path: parent, mode: 0o755 });
    }
  }
  return sorted([...byPath.values()]);
}

function sorted(entries: readonly LayerEntry[]): LayerEntry[] {
  return entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
