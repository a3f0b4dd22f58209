"use strict";
// The answer: a head, then a body that may be long, slow, false about its length, or cut.

const { setTimeout: sleep } = require("node:timers/promises");

const { passBody } = require("./body.js");
const { setHeaders } = require("./headers.js");
const { strike, writeRaw } = require("./trouble.js");

const OLIVE_OIL = "Olive oil is a liquid fat obtained from olives...\n";

/** Answers with the request's own body, with a pattern, or with `report`, in that order of preference. */
async function answer(call, report) {
  const { control, request } = call;
  if (control.rawBefore) await writeRaw(call, control.rawBefore);
  await strike(call, "beforeHead");
  if (control.echo) {
    const length = Number(request.headers["content-length"] ?? 0);
    setHeaders(call, request.headers["content-type"] ?? "application/octet-stream");
    await send(call, passBody(call, control.readDelayMs), length, control.declareLength);
  } else if (control.outputBytes !== undefined) {
    setHeaders(call, "application/octet-stream");
    await send(call, pattern(control), control.outputBytes, control.declareLength);
  } else {
    const text = await composeReport(control, report);
    setHeaders(call, "application/json");
    await send(call, text.length > 0 ? [text] : [], text.length, control.declareLength ?? true);
  }
}

async function composeReport(control, report) {
  const { invalidResponse, isEmptyBody, postSleepTime, postOutGarbage = "" } = control;
  const json = isEmptyBody ? "" : `${JSON.stringify(report)}\n`;
  if (postSleepTime > 0) await sleep(postSleepTime);
  return Buffer.from(`${invalidResponse ? OLIVE_OIL : ""}${json}${postOutGarbage}`);
}

/** The byte at place i is i modulo 251, so that a test can check any part of it. */
function* pattern({ outputBytes, chunkBytes = 65_536 }) {
  const source = Uint8Array.from({ length: chunkBytes + 251 }, (_, i) => i % 251);
  for (let at = 0; at < outputBytes; at += chunkBytes) {
    yield source.subarray(at % 251, (at % 251) + Math.min(chunkBytes, outputBytes - at));
  }
}

async function send(call, chunks, size, declare) {
  const { response, control } = call;
  if (declare) response.setHeader("Content-Length", declare === true ? size : declare);
  if (control.trailers) response.setHeader("Trailer", Object.keys(control.trailers).join(", "));
  if (control.bodyDelayMs !== undefined || control.breakAt === "afterHead") {
    response.flushHeaders();
    await strike(call, "afterHead");
    await sleep(control.bodyDelayMs);
  }
  const cutAt = control.breakAt === "midBody" ? (control.breakAfterBytes ?? Math.floor(size / 2)) : Infinity;
  let sent = 0;
  for await (const chunk of chunks) {
    const room = cutAt - sent;
    await write(response, chunk.subarray(0, room));
    if (chunk.length >= room) await strike(call, "midBody");
    sent += chunk.length;
    if (control.chunkDelayMs) await sleep(control.chunkDelayMs);
  }
  if (control.trailers) response.addTrailers(control.trailers);
  await new Promise((resolve) => response.once("close", resolve).end());
}

/** Writes at the reader's pace, and stops when there is no reader any more. */
function write(response, bytes) {
  return new Promise((resolve, reject) => {
    const left = () => reject(new Error("caller left"));
    response.once("close", left);
    response.write(bytes, (reason) => {
      response.off("close", left);
      if (reason) reject(reason);
      else resolve();
    });
  });
}

module.exports = { answer };
