import process from "node:process";

import { pause, systemClock } from "../../core/clock.ts";
import { startLoad } from "./load.ts";

/** Calls a gateway for so many seconds, from wherever it is started, and prints the report as JSON. */
const [gateway = "", fnId = "", clients = "1", orders = "{}", seconds = "1"] = process.argv.slice(2);
const load = startLoad({
  gateways: [gateway],
  fnId,
  clients: Number(clients),
  orders: JSON.parse(orders) as Readonly<Record<string, unknown>>,
});
await pause(systemClock, Number(seconds) * 1_000);
process.stdout.write(JSON.stringify(await load.stop()));
