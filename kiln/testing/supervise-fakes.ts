import { join } from "node:path";

import { stopOnSignals } from "../../core/stop-requests.ts";
import type { Child, ChildPlan } from "../child.ts";
import { supervise } from "../supervisor.ts";

/** Supervises fake processes until a signal comes: `supervise-fakes.ts NAME,MANNER... NAME,MANNER...`. */
const plans = process.argv.slice(2).map((words) => {
  const args = words.split(",");
  return (started: readonly Child[]): ChildPlan => ({
    name: args[0] ?? "",
    main: join(import.meta.dirname, "fake-main.ts"),
    args,
    env: { ...process.env, FAKE_STARTED: started.map(({ address }) => address).join(" ") },
    graceMs: 1_000,
  });
});
const complain = (text: string) => void process.stderr.write(text);
const ready = (children: readonly Child[]) => complain(`ready: ${children.map(({ address }) => address).join(" ")}\n`);

using stop = stopOnSignals(process);
process.exitCode = await supervise({ plans, stop, ready, complain });
