"use strict";
// Using things up: memory, CPU, files, descriptors, log lines.

const fs = require("node:fs");
const { connect } = require("node:net");

const BLOCK = 65_536;
const leaks = [];
/** Held until the next call. */
let held;

function useMemory({ allocateMemory = 0, leakMemory = 0 }) {
  // Filled with ones: memory that is only reserved counts against no limit.
  held = Buffer.alloc(allocateMemory, 1);
  if (leakMemory > 0) leaks.push(Buffer.alloc(leakMemory, 1));
  return held.length + leaks.reduce((sum, leak) => sum + leak.length, 0);
}

function burnCpu(ms = 0) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

function readFile(control, data) {
  const { readFile: path, readFileSize: size } = control;
  if (!path) return;
  try {
    const content = fs.readFileSync(path);
    data[`${path}.read_output`] = content.subarray(0, size > 0 ? size : undefined).toString();
  } catch (reason) {
    data[`${path}.read_error`] = reason.message;
  }
}

/** Makes one file, or `createFileCount` empty or full ones, and says how far it got. */
function createFile(control, data) {
  const { createFile: path, createFileSize: size = 0, createFileCount: count } = control;
  if (!path) return;
  const progress = { files: 0, bytes: 0 };
  try {
    for (let i = 0; i < (count ?? 1); i += 1) {
      fillFile(count === undefined ? path : `${path}.${i}`, size, control.createFileSparse, progress);
      progress.files += 1;
    }
  } catch (reason) {
    data[`${path}.create_error`] = reason.message;
    data[`${path}.create_code`] = reason.code;
  }
  data[`${path}.create_files`] = String(progress.files);
  data[`${path}.create_bytes`] = String(progress.bytes);
}

function fillFile(path, size, sparse, progress) {
  const file = fs.openSync(path, "w");
  try {
    if (sparse) return fs.ftruncateSync(file, size);
    // No two blocks alike and none of them empty: nothing below can store this without the space.
    const block = Buffer.from(Uint8Array.from({ length: BLOCK }, (_, i) => i));
    for (let left = size, n = 0; left > 0; n += 1) {
      block.writeUInt32LE(n);
      const written = fs.writeSync(file, block, 0, Math.min(left, BLOCK));
      progress.bytes += written;
      left -= written;
    }
  } finally {
    fs.closeSync(file);
  }
}

/** Opens up to `count` descriptors and says how many there were before the limit. */
function openFiles(count, data) {
  if (count === undefined) return;
  const open = [];
  try {
    while (open.length < count) open.push(fs.openSync("/dev/null", "r"));
  } catch (reason) {
    data.open_code = reason.code;
  }
  data.open_files = String(open.length);
  for (const file of open) fs.closeSync(file);
}

/** Tries the network: "connected", or the code of the error. */
function tryConnect(target) {
  return new Promise((resolve) => {
    const { timeoutMs = 1000, ...address } = target;
    const socket = connect({ ...address, timeout: timeoutMs });
    const end = (outcome) => {
      resolve(outcome);
      socket.destroy();
    };
    socket.on("connect", () => end("connected"));
    socket.on("timeout", () => end("timeout"));
    socket.on("error", (reason) => end(reason.code));
  });
}

function writeLogs({ stdout = [], stderr = [], stdoutBytes = 0, stderrBytes = 0 }) {
  for (const line of stdout) process.stdout.write(`${line}\n`);
  for (const line of stderr) process.stderr.write(`${line}\n`);
  writeMany(process.stdout, stdoutBytes);
  writeMany(process.stderr, stderrBytes);
}

/** Lines of 80 bytes, each with its number, so that a missing one is seen. */
function writeMany(stream, bytes) {
  for (let left = bytes, n = 0; left > 0; left -= 80, n += 1) {
    stream.write(`${String(n).padEnd(79, ".")}\n`.slice(-Math.min(left, 80)));
  }
}

module.exports = { burnCpu, createFile, openFiles, readFile, tryConnect, useMemory, writeLogs };
