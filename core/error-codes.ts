/** Who has to act: the caller's input, the function's owner, or whoever runs Kiln. */
export type Blame = "caller" | "function" | "platform";

/** The part at fault, as an error body names it. */
export type Component = "client" | "function" | "gateway" | "runner" | "operator";

interface Row {
  readonly status: number;
  readonly blame: Blame;
  readonly component: Component;
  /** Whether the same request may do better later, unchanged. */
  readonly retryable: boolean;
  /** The text Fn's clients know; used where the thrower has nothing better to say. */
  readonly text: string;
}

const client = (status: number, text: string): Row => ({
  status,
  text,
  blame: "caller",
  component: "client",
  retryable: false,
});
const func = (status: number, text: string, retryable = false): Row => ({
  status,
  text,
  blame: "function",
  component: "function",
  retryable,
});
const platform = (
  component: "gateway" | "runner" | "operator",
  status: number,
  text: string,
  retryable = false,
): Row => ({ status, text, blame: "platform", component, retryable });

/** Every way a request can fail. Codes are part of the API: never renamed, never reused. */
export const ERROR_CODES = {
  // Placing and running a call.
  server_busy: platform("gateway", 503, "Timed out - server too busy", true),
  shutting_down: platform("gateway", 503, "Server is shutting down", true),
  runner_lost: platform("runner", 502, "Lost the runner while it ran the call"),
  runner_unreachable: platform("runner", 503, "Runner cannot be reached", true),
  runner_protocol: platform("runner", 500, "Runner broke the protocol"),
  runner_unsafe: platform("operator", 503, "Runner has no isolation and this gateway is public"),
  resource_too_big: client(400, "Requested CPU/Memory cannot be allocated"),
  reservation_failed: platform("gateway", 500, "Could not serve the call within its reservation"),
  invalid_call: platform("gateway", 500, "Call has a field the runner cannot accept"),
  detach_unsupported: platform("operator", 501, "Detach call functions are not supported on this server"),
  upgrade_unsupported: client(501, "Connection upgrades are not supported"),
  client_cancel: client(444, "Client cancelled the request"),
  too_many_requests: client(429, "Too many requests"),
  request_limit_exceeded: client(429, "Request limit exceeded"),
  internal: platform("gateway", 500, "Internal server error"),
  runner_internal: platform("runner", 500, "Internal server error"),

  // The request itself.
  not_found: client(404, "Path not found"),
  method_not_allowed: client(405, "Method not allowed"),
  unsupported_media_type: client(415, "Unsupported media type"),
  request_too_big: client(413, "Request content too big"),
  request_body_unreadable: client(400, "Request body could not be read"),
  invalid_request: client(400, "Request is malformed"),
  refused_by_middleware: client(403, "Refused"),
  extension_invalid: client(400, "Extension has an invalid value"),
  extension_limit: client(400, "Extensions exceed a limit"),
  extension_misused: platform("operator", 500, "Operator's middleware set an invalid extension"),
  override_invalid: platform("operator", 500, "Operator's middleware made an invalid call"),
  body_consumed: platform("operator", 500, "Operator's middleware consumed the raw request body"),

  // The function and its container.
  call_timeout: func(504, "Timed out"),
  function_failed: func(502, "function failed"),
  function_response: func(502, "error receiving function response"),
  function_out_of_memory: func(502, "container out of memory"),
  function_response_too_big: func(502, "function response body too large"),
  function_response_header_too_big: func(502, "function response header too large"),
  function_invalid_response: func(502, "invalid function response"),
  function_write_request: func(502, "function closed pipe while receiving request"),
  container_init_failed: func(
    502,
    "Container failed to initialize, please ensure you are using the latest fdk and check the logs",
  ),
  container_init_timeout: func(
    504,
    "Container initialization timed out, please ensure you are using the latest fdk and check the logs",
  ),
  container_start_timeout: platform("runner", 504, "Container did not start in time"),
  image_pull_failed: func(502, "Failed to pull image"),
  image_pull_timeout: func(504, "Image pull timed out"),
  image_unknown: func(404, "Image not found"),
  image_has_volume: func(400, "image has Volume definition"),
  image_reserved: client(400, "Invalid Fn image"),
  syslog_unavailable: func(500, "Syslog Unavailable"),
  guard_refused: platform("operator", 500, "The runner's guard refused the container options"),
  hook_failed: platform("operator", 500, "A driver hook failed"),
  docker_unavailable: platform("runner", 503, "Docker cannot be reached", true),

  // Apps, functions and triggers.
  fn_not_found: client(404, "Fn not found"),
  app_not_found: client(404, "App not found"),
  trigger_not_found: client(404, "Trigger not found"),
  call_not_found: client(404, "Call not found"),
  already_exists: client(409, "Already exists"),
  name_immutable: client(409, "Could not update - name is immutable"),
  id_mismatch: client(400, "ID in path does not match ID in body"),
  id_provided: client(400, "ID cannot be provided on create"),
  invalid_json: client(400, "Invalid JSON"),
  invalid_field: client(400, "Invalid field"),
  missing_field: client(400, "Missing field"),
  invalid_cursor: client(400, "Invalid cursor"),
  precondition_failed: client(412, "Changed since it was read: If-Match names another version"),
  gone: client(410, "This was removed from Fn's API"),
  unauthorized: client(401, "Administrator's token is missing or wrong"),
  store_unavailable: platform("operator", 503, "The database cannot be reached", true),
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
