import process from "node:process";

import { systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import { openStore } from "../../gateway/store/open-store.ts";
import { newApp } from "./store-for-tests.ts";

/** Writes apps to the database of its first argument, names from its second on, and prints each once it is answered. */
const [url = "", prefix = ""] = process.argv.slice(2);
const store = await openStore(url, { clock: systemClock, log: silentLog, maxConnections: 4, timeoutMs: 5_000 });
await Promise.all(Array.from({ length: 4 }, (_, lane) => write(lane)));

async function write(lane: number): Promise<void> {
  for (let i = 0; ; i++) {
    const name = `${prefix}-${lane}-${i}`;
    const app = await store.apps.insert(newApp(name, { config: { A: "1" } }));
    process.stdout.write(`${name} 1\n`);
    await store.apps.update(app.id, (current) => ({ ...current, config: { A: "2" } }));
    process.stdout.write(`${name} 2\n`);
  }
}
