import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../../core/call-error.ts";
import type { ErrorCode } from "../../../../core/error-codes.ts";
import {
  engineError,
  engineFailure,
  isGone,
  pullError,
  type EngineStep,
} from "../../../../runner/driver/docker/docker-errors.ts";

/** What dockerode throws for an answer of the Engine. */
function answered(statusCode: number, message: string): Error {
  return Object.assign(new Error(`(HTTP code ${statusCode}) unexpected - ${message} `), { statusCode });
}

function unanswered(code: string): Error {
  return Object.assign(new Error(`connect ${code} /run/docker.sock`), { code, syscall: "connect" });
}

describe("engineError", () => {
  const cases: readonly (readonly [EngineStep, Error, ErrorCode, message: RegExp])[] = [
    [
      "create the container",
      unanswered("ENOENT"),
      "docker_unavailable",
      /^Docker cannot be reached to create the container: connect ENOENT/,
    ],
    ["start the container", unanswered("ECONNREFUSED"), "docker_unavailable", /ECONNREFUSED/],
    ["create the container", answered(404, "No such image: cheese:1"), "server_busy", /No such image: cheese:1$/],
    [
      "start the container",
      answered(404, "No such container: kiln-1"),
      "server_busy",
      /somebody else removed .*kiln-1$/,
    ],
    [
      "start the container",
      answered(409, "container is marked for removal and cannot be started"),
      "server_busy",
      /marked/,
    ],
    [
      "start the container",
      answered(500, "failed to create endpoint x on network y: adding interface veth1 to bridge br-2: exchange full"),
      "server_busy",
      /network is full: .*exchange full/,
    ],
    [
      "create the container",
      answered(500, "mkdir /var/lib/docker/overlay2/x: no space left on device"),
      "docker_unavailable",
      /^Docker cannot work, its disk is full: mkdir/,
    ],
    [
      "start the container",
      answered(404, "network fn-net not found"),
      "runner_internal",
      /^Docker failed to start the container: network fn-net/,
    ],
    [
      "start the container",
      answered(500, "failed to initialize logging driver: dial tcp: refused"),
      "syslog_unavailable",
      /^Syslog Unavailable: failed to/,
    ],
    [
      "create the container",
      answered(400, "No command specified"),
      "container_init_failed",
      /its image cannot be run: No command/,
    ],
    [
      "start the container",
      answered(400, 'exec: "fn": executable file not found in $PATH'),
      "container_init_failed",
      /executable file not found/,
    ],
    [
      "create the container",
      answered(400, "Conflicting options: Nano CPUs"),
      "runner_internal",
      /^Docker refused the container's options: Conflicting/,
    ],
    ["remove the container", answered(500, "device or resource busy"), "runner_internal", /^Docker failed to remove/],
  ];
  for (const [step, error, code, message] of cases) {
    it(`tells "${engineFailure(error).message}" of "${step}" as ${code}`, () => {
      const told = engineError(error, step);

      assert.equal(told.code, code);
      assert.match(told.message, message);
      assert.equal(told.cause, error);
    });
  }

  it("leaves what is a call error already", () => {
    const error = new CallError("client_cancel");

    assert.equal(engineError(error, "start the container"), error);
    assert.equal(pullError(error, "cheese"), error);
  });
});

describe("pullError", () => {
  const what = "Failed to pull image 'cheese:1'";

  it("keeps a 4xx of the registry, and makes a 502 of everything else that it says", () => {
    const told = (error: Error) => [pullError(error, what).code, pullError(error, what).status];

    assert.deepEqual(told(answered(404, "manifest unknown")), ["image_pull_failed", 404]);
    assert.deepEqual(told(answered(401, "unauthorized")), ["image_pull_failed", 401]);
    assert.deepEqual(told(answered(500, "unauthorized: authentication required")), ["image_pull_failed", 401]);
    assert.deepEqual(told(answered(500, "dial tcp: no such host")), ["image_pull_failed", 502]);
    assert.deepEqual(told(new Error("error in the middle of the pull")), ["image_pull_failed", 502]);
    assert.deepEqual(told(unanswered("ECONNREFUSED")), ["docker_unavailable", 503]);
    assert.deepEqual(told(new Error("failed to register layer: no space left on device")), ["docker_unavailable", 503]);
  });

  it("says what was wanted and passes on Docker's words", () => {
    assert.equal(pullError(answered(404, "manifest unknown"), what).message, `${what}: manifest unknown`);
  });
});

describe("isGone", () => {
  it("knows a 404, told by dockerode or as a call error", () => {
    const error = answered(404, "No such container: x");

    assert.equal(isGone(error), true);
    assert.equal(isGone(engineError(error, "wait for the container")), true);
    assert.equal(isGone(answered(409, "removal in progress")), false);
    assert.equal(isGone(unanswered("ENOENT")), false);
  });
});
