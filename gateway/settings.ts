import { choice, integer, optionalPort, secretText, text, words } from "../core/config.ts";
import { DEFAULT_WINDOWS } from "../core/session/receive-windows.ts";
import { WORKER_SETTINGS } from "../core/workers/settings.ts";
import { DEFAULT_CONNECTION_LIMITS } from "./protocols.ts";
import { DEFAULT_PLACER, DEFAULT_QUEUE, PLACERS } from "./runnerpool/placers/create-placer.ts";

/** Every setting of a gateway. `--help` and the README's table are printed from it. */
export const GATEWAY_SETTINGS = {
  FN_BIND: text("127.0.0.1", "Address to listen on"),
  FN_PORT: integer(8080, "Port for clients; 0 takes a free one", { max: 65_535 }),
  FN_GATEWAY_ID: text("", "Name of this gateway in runners' logs; by default the host's name"),
  FN_RUNNER_ADDRESSES: words(
    [],
    "Runners: host:port, or followed as dns://name:port, dns+srv://name or file:PATH; NAME= before it is the name in their certificates, ;label=value after it what calls may choose them by",
  ),
  FN_RUNNER_CERT_NAME: text("kiln-runner", "Name that runners' certificates must carry where the address gives none"),
  FN_RUNNER_DNS_SERVER: text("", "DNS server to ask for runners, host:port; by default the system's"),
  FN_RUNNER_DNS_MSECS: integer(5_000, "Longest time between two look-ups of a name; sooner where its records say so", {
    min: 1_000,
  }),
  FN_EJECT_FAILURES: integer(5, "Calls in a row that fail by a runner's fault, then it gets none for a while; 0 never"),
  FN_EJECT_MSECS: integer(10_000, "For how long at first; at least half of the runners get calls in any case", {
    min: 1,
  }),
  FN_EJECT_GROWTH: integer(2, "How many times longer if it goes on to fail", { min: 1 }),
  FN_EJECT_MAX_MSECS: integer(300_000, "Longest such time", { min: 1 }),
  FN_NODE_CERT: text(
    "",
    "PEM file of this gateway's certificate; replaced files take effect at once, open connections stay",
  ),
  FN_NODE_CERT_KEY: text("", "PEM file of its key"),
  FN_NODE_CERT_AUTHORITY: text("", "PEM file of the authorities whose runners are believed"),
  FN_TLS_CERT: text(
    "",
    "PEM file of the certificate for clients: with one they speak TLS, HTTP/2 too; replaced files take effect at once",
  ),
  FN_TLS_KEY: text("", "PEM file of its key"),
  FN_DB_URL: secretText(
    "Database of apps, functions and triggers: sqlite3:///path/to/file or postgres://user:password@host/name; " +
      "none takes the file data/fn.db, or no database where FN_FUNCTIONS_FILE is set",
  ),
  FN_DB_MAX_CONNECTIONS: integer(10, "Most connections to PostgreSQL, beside one that listens", { min: 1 }),
  FN_DB_TIMEOUT_MSECS: integer(
    5_000,
    "Longest wait for a connection to it, for a statement's answer, and for another process that writes to the same file",
    { min: 100, max: 600_000 },
  ),
  FN_FUNCTIONS_FILE: text(
    "",
    "YAML file of apps and functions, put into the database where FN_DB_URL names one; changes to it take effect at once",
  ),
  FN_LOOKUP_CACHE_SIZE: integer(10_000, "Most functions that are remembered between calls", { min: 1 }),
  FN_RUNNER_API_URL: text(
    "",
    "Reads functions from another server's API, Kiln's or Fn's, such as http://fn-api:8080, in place of a file or a database",
  ),
  FN_RUNNER_API_TOKEN: secretText("Bearer token for it: the FN_ADMIN_TOKEN of the other side"),
  FN_RUNNER_API_CA: text("", "PEM file of the authorities that it is believed by; by default the system's"),
  FN_RUNNER_API_TIMEOUT_MSECS: integer(2_000, "Longest wait for an answer of it", { min: 1 }),
  FN_RUNNER_API_RETRIES: integer(5, "Further tries where it fails, for a function that is not known"),
  FN_RUNNER_API_CONNECTIONS: integer(16, "Most requests to it at the same time", { min: 1 }),
  FN_RUNNER_API_TTL_MSECS: integer(5_000, "How long what it said is believed"),
  FN_RUNNER_API_NEGATIVE_TTL_MSECS: integer(
    1_000,
    "The same where it said that there is none; while it is away, the time between two tries",
    { min: 1 },
  ),
  FN_RUNNER_API_STALE_MSECS: integer(
    86_400_000,
    "While it is away, the greatest age of what it said that is still served",
  ),
  FN_ADMIN_BIND: text("127.0.0.1", "Address for the API, its description at /docs, /metrics, /livez and /readyz"),
  FN_ADMIN_PORT: optionalPort(
    "Their port, 0 takes a free one; none serves them on FN_PORT if FN_BIND is of this machine alone",
  ),
  FN_ADMIN_TOKEN: secretText("Bearer token that they ask for, health excepted; has to be set beyond loopback"),
  FN_API_MAX_REQUEST_SIZE: integer(1_048_576, "Largest body of a request to the API, bytes", { min: 1_024 }),
  FN_PUBLIC_LB_URL: text(
    "",
    "Where clients reach functions, for the annotations that say so; by default as the API is reached",
  ),
  FN_TRIGGER_HOSTS: words(
    [],
    "Hosts that are an app's own, host=app: every path there is one of the app's triggers, without /t/app before it",
  ),
  FN_TRUSTED_PROXIES: words([], "Addresses and ranges such as 10.0.0.0/8 of proxies whose X-Forwarded-* is believed"),
  FN_PLACEMENTS_MAX_SIZE: integer(
    268_435_456,
    "Bytes from which the file of --log-placements becomes FILE.1, in the place of the one before",
    { min: 65_536 },
  ),
  ...WORKER_SETTINGS,
  FN_LOG_LEVEL: choice(["debug", "info", "warn", "error"], "info", "Least level of log lines"),
  FN_LOG_FORMAT: choice(["text", "json"], "text", "Form of log lines"),

  FN_MAX_REQUEST_SIZE: integer(0, "Largest request body, bytes; 0 sets no limit"),
  FN_MAX_BUFFERED_REQUEST_SIZE: integer(
    16_777_216,
    "Largest request body that is ever held whole, bytes: of a detached call, or one that middleware reads",
  ),
  FN_REQUEST_BODY_READ_TIMEOUT_MSECS: integer(
    60_000,
    "Longest wait for such a body, or for the first bytes of another",
    {
      min: 1,
    },
  ),
  FN_MAX_REQUEST_HEADER_SIZE: integer(1_048_576, "Largest request headers, bytes", { min: 1_024 }),
  FN_REQUEST_BODY_MIN_RATE: integer(
    100,
    "Least rate of a streamed body, bytes per second that the gateway waits for it beyond that time; 0 sets none",
  ),
  FN_REQUEST_HEADER_READ_TIMEOUT_MSECS: integer(
    DEFAULT_CONNECTION_LIMITS.headersTimeoutMs,
    "Longest wait for the headers of a request, and for a TLS handshake",
    { min: 1 },
  ),
  FN_HTTP_IDLE_TIMEOUT_MSECS: integer(
    DEFAULT_CONNECTION_LIMITS.idleTimeoutMs,
    "How long a client's connection is kept without a request",
    { min: 1 },
  ),
  FN_MAX_CONNECTIONS: integer(
    DEFAULT_CONNECTION_LIMITS.maxConnections,
    "Most connections of clients, for each listener; 0 sets no limit",
  ),
  FN_HTTP2_MAX_STREAMS: integer(
    DEFAULT_CONNECTION_LIMITS.maxStreams,
    "Most requests at the same time on one HTTP/2 connection",
    { min: 1 },
  ),
  FN_CALL_WINDOW_BYTES: integer(
    DEFAULT_WINDOWS.callBytes,
    "Most of one call's response that is on its way from the runner or waits here for the client, bytes",
    { min: 65_536, max: 268_435_456 },
  ),
  FN_SESSION_WINDOW_BYTES: integer(
    DEFAULT_WINDOWS.sessionBytes,
    "The same for all calls on one runner together; when it is used up, further calls have 16 KiB each",
    { min: 1_048_576 },
  ),
  FN_DIAL_TIMEOUT_MSECS: integer(1_000, "Longest wait for a runner's first answer", { min: 1 }),
  FN_PING_MSECS: integer(10_000, "Time between two pings of a runner", { min: 1 }),
  FN_PING_TIMEOUT_MSECS: integer(5_000, "Longest wait for a ping's answer, then the runner is gone", { min: 1 }),
  FN_PLACER: choice(
    PLACERS,
    DEFAULT_PLACER,
    "Which runner is asked first: any, by consistent hashing, the least loaded, or one with an idle container",
  ),
  FN_PLACER_HASH_LOAD: integer(125, "Most calls that hashing gives a runner, percent of its part", { min: 100 }),
  FN_QUEUE_SIZE: integer(DEFAULT_QUEUE.total, "Calls that may wait for a runner; more are refused with 503"),
  FN_QUEUE_SIZE_PER_FUNCTION: integer(DEFAULT_QUEUE.perFunction, "The same for the calls of one function"),
  FN_RETRY_AFTER_SECS: integer(15, "What Retry-After tells clients with a 503, seconds", { min: 1 }),
  FN_PLACER_TIMEOUT_MSECS: integer(30_000, "How long a call may look for a runner", { min: 1 }),
  FN_DETACHED_PLACER_TIMEOUT_MSECS: integer(30_000, "The same for detached calls", { min: 1 }),
  FN_PLACER_RETRY_MSECS: integer(
    10,
    "First wait before a waiting call asks all runners again though none told of room; grows 64 times",
    {
      min: 1,
    },
  ),
  FN_EXECUTION_HEADROOM: integer(360_000, "Added to a call's deadline for starting its container, milliseconds", {
    max: 86_400_000,
  }),
  FN_DRAIN_MSECS: integer(30_000, "How long running calls may go on once the gateway is told to stop"),
} as const;
