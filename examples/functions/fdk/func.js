"use strict";
// The same greeting on Fn's own library for Node, as `fn init --runtime node` would start it.

const fdk = require("@fnproject/fdk");

fdk.handle((input, context) => {
  const greeting = context.config.GREETING ?? "Hello";
  // Never return null or undefined: fdk 0.0.76 then crashes the process.
  return { message: `${greeting}, ${input.name || "World"}`, callId: context.callID };
});
