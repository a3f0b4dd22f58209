"use strict";
// One call, from its head to its end.

const { answer } = require("./answer.js");
const { leaveUnread, readBody } = require("./body.js");
const { bodyControl, defaults, headerControl, unknownFields } = require("./control.js");
const { gatherFacts } = require("./facts.js");
const { requestHeaders } = require("./headers.js");
const { countRun, log, state } = require("./state.js");
const { strike } = require("./trouble.js");
const { work } = require("./work.js");

async function handleCall(request, response) {
  const call = { request, response, control: defaults, body: undefined, runs: undefined };
  begin(call);
  try {
    await serve(call);
    await strike(call, "afterAnswer");
  } catch (reason) {
    log(`probe: ${reason.stack}`);
    if (response.headersSent) return response.destroy();
    response.writeHead(502, { "content-type": "application/json" });
    response.end(JSON.stringify({ message: reason.message }));
  }
}

function begin({ request, response }) {
  const callId = request.headers["fn-call-id"];
  state.served += 1;
  state.inFlight += 1;
  state.mostInFlight = Math.max(state.mostInFlight, state.inFlight);
  request.socket.calls = (request.socket.calls ?? 0) + 1;
  response.on("error", () => {});
  response.on("close", () => {
    state.inFlight -= 1;
    if (response.writableFinished) return;
    state.abandoned += 1;
    log(`probe: caller of ${callId} left`);
  });
}

async function serve(call) {
  const { request, response } = call;
  if (request.method !== "POST" || request.url !== "/call") {
    response.writeHead(404).end();
    return;
  }
  const steered = headerControl(request.headers);
  call.control = steered ?? defaults;
  // Here, before anything can go wrong, since a run that failed is a run as well.
  count(call, process.env.PROBE_COUNT_DIR || (steered && countDirectory(steered)));
  if (steered === undefined) {
    call.body = await readBody(request, { keep: true });
    call.control = bodyControl(call.body.text);
    count(call, countDirectory(call.control));
  } else {
    await readSteered(call);
  }
  const done = await work(call);
  await answer(call, report(call, done));
  if (call.control.readBody === "late") call.body = await readBody(request);
  if (call.control.postErrGarbage) log(`PostProcess PostErrGarbage ${call.control.postErrGarbage}`);
  if (call.control.isShutdown) request.socket.server.close();
}

/** With orders in the header the body is opaque, and read only as far as they say. */
async function readSteered(call) {
  const { readBody: how = "whole", readBytes: limit, readDelayMs: delayMs, echo } = call.control;
  if (how !== "whole") leaveUnread(call.request);
  if (echo) return;
  if (how === "whole") call.body = await readBody(call.request, { delayMs });
  if (how === "part") call.body = await readBody(call.request, { limit, delayMs });
}

function countDirectory({ count: wanted, countDir }) {
  if (countDir !== undefined) return countDir;
  return wanted ? process.env.PROBE_COUNT_DIR || "/tmp" : undefined;
}

function count(call, directory) {
  if (!directory || call.runs !== undefined) return;
  call.runs = countRun(directory, call.request.headers["fn-call-id"] ?? "none");
}

function report(call, { data, trailer }) {
  const { request, control, body } = call;
  return {
    request: control,
    header: requestHeaders(request),
    config: { ...process.env },
    data,
    trailer,
    facts: gatherFacts(control),
    probe: {
      ...state,
      pid: process.pid,
      socketCalls: request.socket.calls,
      httpVersion: request.httpVersion,
      rawHeaders: control.rawHeaders ? request.rawHeaders : undefined,
      body: body === undefined ? undefined : { ...body, text: undefined },
      runs: call.runs,
      ignored: unknownFields(control),
    },
  };
}

module.exports = { handleCall };
