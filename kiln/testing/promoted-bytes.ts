import { setImmediate as turn } from "node:timers/promises";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const ROUNDS = 15;

/** Bytes that V8's young collections take for old while `work` is done again and again, after a look at the whole heap. */
export async function promotedBytes(work: () => void): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // What is there at a full collection is old afterwards, and so may be what it points to later on.
  for (let i = 0; i < 2; i++) {
    work();
    collect();
  }
  const before = oldBytes();
  for (let i = 0; i < ROUNDS; i++) {
    work();
    await turn();
  }
  return oldBytes() - before;
}

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")?.space_used_size ?? 0;
}
