"use strict";
// The request body, read as fast, as slowly or as far as the test wants.

const { createHash } = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");

/** Reads the body up to a limit. What lies behind the limit stays in the socket. */
async function readBody(request, { limit = Infinity, delayMs = 0, keep = false } = {}) {
  const read = newBody();
  const kept = [];
  // Leaving the loop must not close the connection: the answer still goes over it.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    addChunk(read, chunk);
    if (keep) kept.push(chunk);
    if (delayMs > 0) await sleep(delayMs);
    if (read.bytes >= limit) break;
  }
  return finish(read, request, Buffer.concat(kept).toString());
}

/** Passes the body on chunk by chunk, adding it up in `call.body`. */
async function* passBody(call, delayMs = 0) {
  const read = newBody();
  for await (const chunk of call.request) {
    addChunk(read, chunk);
    if (delayMs > 0) await sleep(delayMs);
    yield chunk;
  }
  call.body = finish(read, call.request, "");
}

/** Keeps Node from doing what it does once the answer is out: throw the rest of the body away, or close the connection over it. */
function leaveUnread(request) {
  request._dump = () => {};
  request.socket.destroySoon = () => {};
}

function newBody() {
  return { bytes: 0, chunks: 0, hash: createHash("sha256") };
}

function addChunk(read, chunk) {
  read.bytes += chunk.length;
  read.chunks += 1;
  read.hash.update(chunk);
}

function finish({ bytes, chunks, hash }, request, text) {
  return { bytes, chunks, sha256: hash.digest("hex"), complete: request.complete, text };
}

module.exports = { leaveUnread, passBody, readBody };
