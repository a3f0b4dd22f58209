"use strict";
// What this process remembers from one call to the next.

const { randomUUID } = require("node:crypto");
const { appendFileSync, readFileSync } = require("node:fs");
const { join } = require("node:path");

const state = {
  /** Random for each process, so that a test can tell two containers apart. */
  instance: randomUUID(),
  startedAt: new Date().toISOString(),
  served: 0,
  inFlight: 0,
  mostInFlight: 0,
  connections: 0,
  /** Calls whose caller left before the answer was out. */
  abandoned: 0,
  ignoreSigterm: Boolean(process.env.PROBE_IGNORE_SIGTERM),
};

function log(line) {
  process.stderr.write(`${line}\n`);
}

/** Adds one run of this call to its file and returns how many there are, over all processes that share the directory. */
function countRun(directory, callId) {
  const path = join(directory, `runs-${callId.replaceAll(/[^A-Za-z0-9_-]/g, "_")}`);
  appendFileSync(path, `${state.instance} ${process.pid}\n`);
  return readFileSync(path, "utf8").split("\n").length - 1;
}

module.exports = { countRun, log, state };
