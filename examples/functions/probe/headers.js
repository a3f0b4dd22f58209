"use strict";
// Headers in and out, as Fn's own libraries treat them.

const { state } = require("./state.js");

/** The request's headers in Go's form: canonical names, every value in a list. */
function requestHeaders(request) {
  const entries = Object.entries(request.headersDistinct);
  return Object.fromEntries(entries.map(([name, values]) => [canonical(name), values]));
}

function canonical(name) {
  return name.replaceAll(/(^|-)([a-z])/g, (start) => start.toUpperCase());
}

/** Crashes over the first header that is not as expected; "" expects that it is absent. */
function unexpectedHeader(request, expected = {}) {
  for (const [name, [wanted]] of Object.entries(expected)) {
    const found = request.headersDistinct[name.toLowerCase()]?.[0] ?? "";
    if (found !== wanted) return `Expected header \`${name}\` to be \`${wanted}\` but was \`${found}\``;
  }
  return undefined;
}

function setHeaders({ request, response, control }, contentType) {
  const { responseContentType, jasonContentType, responseCode, hugeHeaderBytes, headerCount = 0 } = control;
  // A trigger's caller sees only headers with this prefix; Fn's libraries add it to all but the content type.
  const prefix = request.headers["fn-intent"] === "httprequest" ? "Fn-Http-H-" : "";
  const give = (name, value) => {
    const kept = name.toLowerCase() === "content-type" || name.toLowerCase().startsWith("fn-http-h-");
    response.setHeader(kept ? name : prefix + name, value);
  };
  response.statusCode = control.httpStatus ?? 200;
  response.setHeader("Content-Type", jasonContentType || responseContentType || contentType);
  response.setHeader("Fn-Fdk-Version", "kiln-probe/1");
  give("Probe-Instance", state.instance);
  give("Probe-Served", String(state.served));
  for (const [name, values] of Object.entries(control.returnHeaders ?? {})) give(name, values);
  for (const [name, values] of Object.entries(control.plainHeaders ?? {})) response.setHeader(name, values);
  if (responseCode) response.setHeader("Fn-Http-Status", String(responseCode));
  if (hugeHeaderBytes !== undefined) give("Probe-Huge", "x".repeat(hugeHeaderBytes));
  for (let i = 0; i < headerCount; i += 1) give(`Probe-${i}`, String(i));
  if (control.closeConnection) response.setHeader("Connection", "close");
}

module.exports = { requestHeaders, setHeaders, unexpectedHeader };
