"use strict";
// A function that does what a test tells it to, good or bad. README.md lists every order it takes.

const { rmSync } = require("node:fs");
const { createServer } = require("node:http");
const { setTimeout: sleep } = require("node:timers/promises");

const { handleCall } = require("./call.js");
const { listen, readListener } = require("./listen.js");
const { log, state } = require("./state.js");

void main();

async function main() {
  const { env } = process;
  if (env.ENABLE_HEADER) log("Container starting");
  await leaveBeforeListening(env);
  const link = readListener(env);
  const server = createProbe(env);
  process.on("SIGTERM", () => {
    if (state.ignoreSigterm) return log("SIGTERM ignored");
    rmSync(link, { force: true, recursive: true });
    process.exit(0);
  });
  await listen(server, link, env.PROBE_LISTEN || "link");
}

async function leaveBeforeListening(env) {
  const expected = env.ENABLE_FAIL_IF_FN_SPAWN_CALL_ID_NONMATCH;
  if (expected && env.FN_SPAWN_CALL_ID && env.FN_SPAWN_CALL_ID !== expected) {
    await sleep(Number(env.ENABLE_FAIL_IF_FN_SPAWN_CALL_ID_NONMATCH_MSEC || 0));
    process.exit(255);
  }
  if (env.ENABLE_INIT_DELAY_MSEC) await sleep(Number(env.ENABLE_INIT_DELAY_MSEC));
  if (env.ENABLE_INIT_EXIT) process.exit(Number(env.ENABLE_INIT_EXIT));
}

function createProbe(env) {
  // Large, so that what a test sends is refused by whoever carries it and not by its receiver.
  const server = createServer({ maxHeaderSize: 1 << 20 }, handleCall);
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.keepAliveTimeout = Number(env.PROBE_KEEP_ALIVE_MS || 0);
  server.on("connection", (socket) => {
    state.connections += 1;
    if (env.PROBE_GREETING) socket.write(env.PROBE_GREETING);
  });
  server.on("close", () => void leaveAfterServing(env));
  return server;
}

async function leaveAfterServing(env) {
  await sleep(Number(env.ENABLE_EXIT_DELAY_MSEC || 0));
  if (env.ENABLE_FOOTER) log("Container ending");
  process.exit(0);
}
