import { readFile } from "node:fs/promises";

import { README } from "../readme-tables.ts";

/** The first command of the README that has this text in it, its continued lines joined. @throws Error if none has */
export async function readmeCommand(text: string): Promise<string> {
  const readme = await readFile(README, "utf8");
  const blocks = [...readme.matchAll(/```sh\n([^]*?)```/g)].map(([, block = ""]) => block.replaceAll(/\\\n\s*/g, ""));
  const found = blocks.flatMap((block) => block.split("\n")).find((line) => line.includes(text));
  if (found === undefined) throw new Error(`No command of the README has "${text}"`);
  return found;
}
