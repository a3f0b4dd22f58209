import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { PkiData, PkiFiles } from "../../core/pki.ts";
import { writePki } from "../pki-files.ts";

/** Certificate files of one party, to be replaced while they are used. Disposing it removes them. */
export interface PkiFolder extends AsyncDisposable {
  readonly files: PkiFiles;
  /** Each file is replaced at once, one after the other. */
  write(pki: PkiData): Promise<void>;
}

export async function pkiFolder(pki: PkiData): Promise<PkiFolder> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-pki-"));
  const files = await writePki(directory, "own", pki);
  return {
    files,
    async write(next) {
      const fresh = await writePki(directory, "next", next);
      await rename(fresh.cert, files.cert);
      await rename(fresh.key, files.key);
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

/** The certificates of `pki`, believing these authorities. */
export function believing(pki: PkiData, ...authorities: readonly { readonly cert: string }[]): PkiData {
  return { ...pki, ca: authorities.map(({ cert }) => cert).join("") };
}
