"use strict";
// What a call has done before it is answered, in the order of fn-test-utils.

const fs = require("node:fs");
const os = require("node:os");
const { dirname } = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");

const { dockerId, names } = require("./facts.js");
const { requestHeaders, unexpectedHeader } = require("./headers.js");
const { readListener } = require("./listen.js");
const { burnCpu, createFile, openFiles, readFile, tryConnect, useMemory, writeLogs } = require("./load.js");
const { log, state } = require("./state.js");

async function work({ request, control }) {
  const data = {};
  if (control.isDebug) logStart(request, control);
  writeLogs(control);
  if (control.ignoreSigterm !== undefined) state.ignoreSigterm = control.ignoreSigterm;
  if (control.sleepTime > 0) await sleep(control.sleepTime);
  useFiles(control, data);
  const held = useMemory(control);
  if (held > 0) data.memory_held = String(held);
  burnCpu(control.burnCpuMs);
  if (control.connectTo) data.connect = await tryConnect(control.connectTo);
  if (control.isDebug) Object.assign(data, { DockerId: dockerId(), DockerHostname: os.hostname() });
  leaveIfTold(request, control);
  const trailer = Array.from({ length: control.trailerRepeat ?? 0 }, () => control.echoContent ?? "");
  if (control.isDebug) log("EndOfLogs");
  return { data, trailer };
}

function logStart(request, control) {
  log("BeginOfLogs");
  log(`Received request ${JSON.stringify(control)}`);
  log(`Received headers ${JSON.stringify(requestHeaders(request))}`);
  log(`Received config ${JSON.stringify(process.env)}`);
}

function useFiles(control, data) {
  readFile(control, data);
  createFile(control, data);
  openFiles(control.openFiles, data);
  if (control.listDir) data[`${control.listDir}.list`] = names(control.listDir).join("\n");
  if (control.removeFile) fs.rmSync(control.removeFile, { force: true, recursive: true });
  if (control.relink) relink(control.relink);
}

/** Puts another link in the place of our own, as a function would that tries to lead the runner elsewhere. */
function relink(target) {
  const link = readListener(process.env);
  const fresh = `${dirname(link)}/relink`;
  fs.symlinkSync(target, fresh);
  fs.renameSync(fresh, link);
}

function leaveIfTold(request, control) {
  if (control.isCrash) fatal("Crash requested");
  if (control.isExit) process.exit(control.exitCode ?? 0);
  const surprise = unexpectedHeader(request, control.expectHeaders);
  if (surprise !== undefined) fatal(surprise);
  if (control.expectDeadline && !request.headers["fn-deadline"]) fatal("Expected a deadline");
}

function fatal(line) {
  log(line);
  process.exit(1);
}

module.exports = { work };
