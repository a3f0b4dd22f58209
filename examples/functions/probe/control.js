"use strict";
// Where a call's orders come from: the probe-control header, or else the body, over PROBE_CONTROL.

const FN_FIELDS =
  "isDebug sleepTime readFile readFileSize createFile createFileSize allocateMemory leakMemory isCrash isExit exitCode " +
  "expectHeaders echoContent trailerRepeat invalidResponse responseContentType jasonContentType returnHeaders " +
  "responseCode isEmptyBody postSleepTime postOutGarbage postErrGarbage isShutdown";
const OWN_FIELDS =
  "readBody readBytes readDelayMs stdout stderr stdoutBytes stderrBytes ignoreSigterm count countDir createFileSparse " +
  "createFileCount removeFile listDir openFiles burnCpuMs connectTo relink facts writablePaths rawHeaders " +
  "expectDeadline echo outputBytes chunkBytes chunkDelayMs bodyDelayMs declareLength httpStatus plainHeaders " +
  "hugeHeaderBytes headerCount trailers closeConnection rawBefore breakAt breakHow breakAfterBytes breakDelayMs raw rawThen";
const FIELDS = new Set(`${FN_FIELDS} ${OWN_FIELDS}`.split(" "));

const CHOICES = {
  readBody: ["whole", "part", "late", "never"],
  breakAt: ["beforeHead", "afterHead", "midBody", "afterAnswer"],
  breakHow: ["exit", "abort", "throw", "hang", "half-close", "close", "raw"],
  rawThen: ["close", "hang"],
};

const defaults = JSON.parse(process.env.PROBE_CONTROL || "{}");

/** The orders in the header, or undefined where the body holds them. A mistake in them is an error: it would make a test prove nothing. */
function headerControl(headers) {
  const text = headers["probe-control"] ?? headers["fn-http-h-probe-control"];
  if (text === undefined) return undefined;
  const control = JSON.parse(text);
  const unknown = unknownFields(control);
  if (unknown.length > 0) throw new Error(`Unknown probe-control: ${unknown.join(", ")}`);
  for (const [name, choices] of Object.entries(CHOICES)) {
    if (name in control && !choices.includes(control[name])) {
      throw new Error(`Unknown ${name} "${control[name]}": choose from ${choices.join(", ")}`);
    }
  }
  return { ...defaults, ...control };
}

/** The orders in the body. As in fn-test-utils, a body that is not an object orders nothing. */
function bodyControl(text) {
  return { ...defaults, ...parseObject(text) };
}

function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function unknownFields(control) {
  return Object.keys(control).filter((name) => !FIELDS.has(name));
}

module.exports = { bodyControl, defaults, headerControl, unknownFields };
