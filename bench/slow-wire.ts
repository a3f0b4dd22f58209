import { join } from "node:path";

import { startProgram, type Program } from "./program.ts";

const main = join(import.meta.dirname, "../kiln/testing/slow-wire.ts");

/** A line to an address on which every byte is late by so many milliseconds, each way. */
export function startSlowWire(to: string, delayMs: number): Promise<Program> {
  return startProgram({ main, args: ["127.0.0.1:0", to, String(delayMs)] });
}
