import process from "node:process";
import { parseArgs } from "node:util";

import { sqliteFile } from "../testing/store-for-tests.ts";
import { fuzzGateway } from "./fuzz-gateway.ts";

const { values } = parseArgs({
  options: { requests: { type: "string", default: "100000" }, from: { type: "string", default: "1" } },
});
await using database = await sqliteFile();
const startRss = process.memoryUsage().rss;
const mebibytes = () => Math.round((process.memoryUsage().rss - startRss) / 2 ** 20);
const { statuses, faults } = await fuzzGateway(database, {
  from: Number(values.from),
  requests: Number(values.requests),
  progress: (done) => process.stdout.write(`${done} requests, ${mebibytes()} MiB more than at the start\n`),
});
for (const [status, count] of [...statuses].toSorted(([a], [b]) => a - b))
  process.stdout.write(`${status}: ${count}\n`);
for (const fault of faults) process.stdout.write(`${fault}\n`);
if (faults.length > 0) process.exitCode = 1;
