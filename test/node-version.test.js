import assert from "node:assert/strict";
import { it } from "node:test";

// Node's test runner finds no TypeScript below 24, says nothing of it and exits with 0. It does find this file.
it("runs on Node 24 or newer", () => {
  const major = Number.parseInt(process.versions.node, 10);
  assert.ok(
    major >= 24,
    `This is Node ${process.versions.node}, which passes over every test written in TypeScript: run "npm test", or put Node 24 first on your PATH`,
  );
});
