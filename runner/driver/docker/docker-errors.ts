import { CallError } from "../../../core/call-error.ts";
import type { ErrorCode } from "../../../core/error-codes.ts";

/** What was asked of the Engine when it failed. */
export type EngineStep =
  | "inspect the image"
  | "create the container"
  | "attach to the container"
  | "start the container"
  | "wait for the container"
  | "inspect the container"
  | "pause the container"
  | "unpause the container"
  | "kill the container"
  | "remove the container"
  | "list the containers"
  | "inspect the network"
  | "describe itself"
  | "import an image"
  | "list the images"
  | "remove the image";

/** An answer of the Engine that is no success, or no answer. */
export interface EngineFailure {
  /** The Engine's HTTP status, or undefined where none came. */
  readonly status: number | undefined;
  /** The Engine's own words, on one line. */
  readonly message: string;
}

/** Reads what dockerode and node:http throw, in a CallError that was made of it too. */
export function engineFailure(error: unknown): EngineFailure {
  if (error instanceof CallError && error.cause !== undefined) return engineFailure(error.cause);
  if (!(error instanceof Error)) return { status: undefined, message: String(error) };
  const status = "statusCode" in error && typeof error.statusCode === "number" ? error.statusCode : undefined;
  const text = error.message.replace(/^\(HTTP code \d+\) .*? - /, "").replaceAll(/\s+/g, " ");
  return { status, message: text.trim().slice(0, 500) };
}

export function isGone(error: unknown): boolean {
  return engineFailure(error).status === 404;
}

/** Whether the Engine could not be asked, or could not work: nothing is known of what it was asked for. */
export function isUnavailable(error: unknown): error is CallError {
  return error instanceof CallError && error.code === "docker_unavailable";
}

/** Lets a failed look-up of what is not there pass as undefined. */
export function unlessGone(error: unknown): undefined {
  if (!isGone(error)) throw error;
}

/** The kernel's words for a bridge with 1023 ports, and Docker's for a subnet without an address left. */
export const NETWORK_FULL = /exchange full|no available IPv4 addresses/i;

// What the Engine says of an image whose command cannot be run.
const NOT_RUNNABLE =
  /no command specified|executable file not found|no such file or directory|permission denied|exec format error/i;

/** The one place where the Engine's failures become call errors. */
export function engineError(error: unknown, step: EngineStep): CallError {
  if (error instanceof CallError) return error;
  const { status, message } = engineFailure(error);
  const fail = (code: ErrorCode, text: string) => new CallError(code, text, { cause: error });
  if (status === undefined) return fail("docker_unavailable", `Docker cannot be reached to ${step}: ${message}`);
  if (NO_SPACE.test(message)) return diskFull(error, message);
  if (step === "create the container" && status === 404 && /no such image/i.test(message)) {
    return fail(
      "server_busy",
      `Timed out - server too busy: the image was removed before its container was made: ${message}`,
    );
  }
  if (/no such container|marked for removal/i.test(message)) {
    const why = `somebody else removed the container while Docker was to ${step}: ${message}`;
    return fail("server_busy", `Timed out - server too busy: ${why}`);
  }
  // Another runner has other networks.
  if (NETWORK_FULL.test(message)) {
    return fail("server_busy", `Timed out - server too busy: the container's network is full: ${message}`);
  }
  if (/initialize logging driver|syslog-address/i.test(message)) {
    return fail("syslog_unavailable", `Syslog Unavailable: ${message}`);
  }
  const starts = step === "create the container" || step === "start the container";
  if (starts && status < 500 && NOT_RUNNABLE.test(message)) {
    return fail("container_init_failed", `Container failed to initialize: its image cannot be run: ${message}`);
  }
  if (starts && status === 400) return fail("runner_internal", `Docker refused the container's options: ${message}`);
  return fail("runner_internal", `Docker failed to ${step}: ${message}`);
}

// A daemon may make a 500 of a registry's 401.
const UNAUTHORIZED = /unauthorized|no basic auth credentials|authentication required/i;

/** What a registry said through the daemon. Its own 4xx is kept, so that its caller sees a 401 or 404 for what it is. */
export function pullError(error: unknown, what: string): CallError {
  if (error instanceof CallError) return error;
  const { status = 0, message } = engineFailure(error);
  if (status === 0 && isSocketError(error)) return engineError(error, "inspect the image");
  if (NO_SPACE.test(message)) return diskFull(error, message);
  const own = status >= 400 && status < 500 ? status : 502;
  return new CallError("image_pull_failed", `${what}: ${message}`, {
    status: UNAUTHORIZED.test(message) ? 401 : own,
    cause: error,
  });
}

function isSocketError(error: unknown): boolean {
  return error instanceof Error && "code" in error;
}

const NO_SPACE = /no space left on device|disk quota exceeded/i;

/** Another runner has another disk. */
function diskFull(cause: unknown, message: string): CallError {
  return new CallError("docker_unavailable", `Docker cannot work, its disk is full: ${message}`, { cause });
}
