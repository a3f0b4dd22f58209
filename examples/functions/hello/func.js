"use strict";
// A whole function without any library: everything a runner expects of one is on this page.
// CommonJS, because Node starts it some 25 ms sooner than an ES module, and a cold call waits for that.

const { chmodSync, rmSync, symlinkSync } = require("node:fs");
const { createServer } = require("node:http");
const { basename, dirname, join } = require("node:path");

// 1. The runner says where it will look for us, for example "unix:/tmp/iofs/lsnr.sock".
const listener = process.env.FN_LISTENER ?? "";
if (!listener.startsWith("unix:")) {
  process.stderr.write(`FN_LISTENER must be "unix:<path>", not "${listener}"\n`);
  process.exit(2);
}
const link = listener.slice("unix:".length);
const socket = join(dirname(link), "hello.sock");

// 2. Every call is a POST to /call. One at a time, over connections that are kept.
const server = createServer(async (request, response) => {
  try {
    const { name } = readJson(await readBody(request));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ message: `Hello, ${name || "World"}` }));
  } catch (reason) {
    // The caller left before the whole request was here. That is no reason to stop.
    process.stderr.write(`${String(reason)}\n`);
    response.destroy();
  }
});
// A runner keeps time itself; a function that closed a connection early would lose a call.
server.keepAliveTimeout = 0;
server.requestTimeout = 0;

// 3. The runner calls as soon as its path exists. So listen under another name first, let everyone
//    write to that socket, and only then link to it. The link must be relative: the runner sees
//    the same directory under another path.
cleanUp();
server.listen(socket, () => {
  chmodSync(socket, 0o666);
  symlinkSync(basename(socket), link);
});

// 4. As process 1 of a container, Node would ignore a polite stop.
process.on("SIGTERM", () => {
  cleanUp();
  process.exit(0);
});

function cleanUp() {
  for (const path of [link, socket]) rmSync(path, { force: true });
}

async function readBody(request) {
  const chunks = await request.toArray();
  return Buffer.concat(chunks).toString();
}

/** The request as an object; anything else is taken as an empty one. */
function readJson(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
