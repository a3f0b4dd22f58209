import { readdir, readFile } from "node:fs/promises";

/** Ids of the processes whose environment holds this text. A zombie has none any more. */
export async function processesOf(text: string): Promise<readonly number[]> {
  const ids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const isOf = await Promise.all(
    ids.map(async (id) => (await read(id, "environ")).includes(text) && !(await isTsx(id))),
  );
  return ids.filter((_, index) => isOf[index]).map(Number);
}

/** The compiler that tsx keeps beside a process whose sources it had not seen before. */
async function isTsx(id: string): Promise<boolean> {
  return /\/esbuild\0--service/.test(await read(id, "cmdline"));
}

function read(id: string, file: string): Promise<string> {
  return readFile(`/proc/${id}/${file}`, "utf8").catch(() => "");
}
