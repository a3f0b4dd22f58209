"use strict";
// The listening socket and its link, made well or badly.

const { once } = require("node:events");
const { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } = require("node:fs");
const { basename, dirname, join } = require("node:path");

const { log } = require("./state.js");

/** Where the runner looks for us; a process without a valid place to listen cannot be a function. */
function readListener(env) {
  const format = env.FN_FORMAT || "http-stream";
  const listener = env.FN_LISTENER || "";
  if (listener.startsWith("unix:") && format === "http-stream") return listener.slice("unix:".length);
  log(`Cannot listen: FN_LISTENER is "${listener}" and FN_FORMAT is "${format}"`);
  return process.exit(2);
}

/** Each way to listen: what is bound, with which permissions, and what the runner finds at its path. */
const WAYS = {
  link: { mode: 0o666, publish: (link, socket) => symlinkSync(basename(socket), link) },
  direct: { mode: 0o666, bindsLink: true },
  "absolute-link": { mode: 0o666, publish: (link, socket) => symlinkSync(socket, link) },
  "parent-link": {
    mode: 0o666,
    publish: (link, socket) => symlinkSync(join("..", basename(dirname(socket)), basename(socket)), link),
  },
  "dangling-link": { mode: 0o666, publish: (link) => symlinkSync("nobody.sock", link) },
  file: { mode: 0o666, publish: (link) => writeFileSync(link, "not a socket\n") },
  directory: { mode: 0o666, publish: (link) => mkdirSync(link) },
  "no-permission": { mode: 0o444, publish: (link, socket) => symlinkSync(basename(socket), link) },
  nothing: { mode: 0o666 },
};

async function listen(server, link, name) {
  const way = WAYS[name];
  if (way === undefined) {
    log(`Cannot listen: PROBE_LISTEN is "${name}", and the ways are ${Object.keys(WAYS).join(", ")}`);
    process.exit(2);
  }
  const socket = way.bindsLink ? link : join(dirname(link), "probe.sock");
  for (const path of [socket, link]) rmSync(path, { force: true, recursive: true });
  try {
    await once(server.listen(socket), "listening");
    chmodSync(socket, way.mode);
    way.publish?.(link, socket);
  } catch (reason) {
    log(`Cannot listen: ${reason.message}`);
    process.exit(3);
  }
}

module.exports = { listen, readListener };
