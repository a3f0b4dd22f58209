"use strict";
// Ways to break a call. `strike` does not return once it has struck: the rest of the call never happens.

const { setImmediate: turn, setTimeout: sleep } = require("node:timers/promises");

const { log } = require("./state.js");

const BREAKS = {
  exit: ({ control }) => process.exit(control.exitCode ?? 1),
  // As process 1 of a container we cannot be killed by our own SIGKILL; this ends in a real signal.
  abort: () => process.abort(),
  throw: () =>
    setImmediate(() => {
      throw new Error("probe: thrown on purpose");
    }),
  hang: () => {},
  "half-close": ({ request }) => request.socket.end(),
  close: ({ request }) => request.socket.destroy(),
  raw: async (call) => {
    await writeRaw(call, call.control.raw ?? "");
    if ((call.control.rawThen ?? "close") === "close") call.request.socket.destroySoon();
  },
};

/** Breaks the call here, if it is here that the test wants it broken. */
async function strike(call, at) {
  const { control } = call;
  if (control.breakAt !== at) return;
  const how = control.breakHow ?? "exit";
  // Node holds small writes back until the end of a turn; what was sent so far must be out.
  await turn();
  if (control.breakDelayMs > 0) await sleep(control.breakDelayMs);
  if (control.isDebug) log(`Breaking ${at} by ${how}`);
  await BREAKS[how]?.(call);
  await new Promise(() => {});
}

/** Puts bytes on the connection that HTTP knows nothing of. */
function writeRaw({ request }, text) {
  return new Promise((resolve) => request.socket.write(text, "latin1", resolve));
}

module.exports = { strike, writeRaw };
