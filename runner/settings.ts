import { autoFlag, choice, choices, flag, integer, optionalPort, secretText, text, words } from "../core/config.ts";
import { DEFAULT_WINDOWS } from "../core/session/receive-windows.ts";
import { WORKER_SETTINGS } from "../core/workers/settings.ts";

/** Every setting of a runner. `--help` and the README's table are printed from it. */
export const RUNNER_SETTINGS = {
  FN_BIND: text("127.0.0.1", "Address to listen on"),
  FN_GRPC_PORT: integer(9190, "Port for gateways; 0 takes a free one", { max: 65_535 }),
  FN_RUNNER_ID: text(
    "",
    "Name of this runner in logs and placements, which no other of its Docker has; by default host and port",
  ),
  FN_GATEWAY_IDENTITIES: words(["kiln-gateway"], "Names of gateways that may connect, as their certificates say them"),
  FN_NODE_CERT: text(
    "",
    "PEM file of this runner's certificate; replaced files take effect at once, open connections stay",
  ),
  FN_NODE_CERT_KEY: text("", "PEM file of its key"),
  FN_NODE_CERT_AUTHORITY: text("", "PEM file of the authorities whose gateways are believed"),
  ...WORKER_SETTINGS,
  FN_LOG_LEVEL: choice(["debug", "info", "warn", "error"], "info", "Least level of log lines"),
  FN_LOG_FORMAT: choice(["text", "json"], "text", "Form of log lines"),

  FN_ADMIN_BIND: text("127.0.0.1", "Address for /metrics, /livez, /readyz and /version"),
  FN_ADMIN_PORT: optionalPort("Their port; none serves none, 0 takes a free one"),
  FN_ADMIN_TOKEN: secretText("Bearer token that /metrics and /version ask for; has to be set beyond loopback"),

  FN_STATUS_IMAGE: text("", "Image that Status runs as a call, and no user can; 128 MiB are set aside for it"),
  FN_STATUS_NETWORK_BARRIER: text("", "File without which the status image runs with no network, and Status says so"),
  FN_STATUS_NETWORK_BARRIER_MSECS: integer(2_000, "Longest look for that file; one that hangs counts as no file", {
    min: 1,
    max: 60_000,
  }),

  FN_MAX_LOG_SIZE_BYTES: integer(1_048_576, "Most that is passed on of what a call writes, bytes; the rest is cut off"),
  FN_USER_LOG_LEVEL: choice(["debug", "info"], "debug", "At which level this log says what functions write"),
  FN_DISABLE_DEBUG_USER_LOGS: flag(false, "Keeps what functions write out of this log, whatever its level"),
  FN_SYSLOG_TLS_CA: text("", "PEM file, as the Docker host sees it, of the authorities of apps' tcp+tls:// syslogs"),
  FN_LOG_READERS: integer(16, "Most that may follow what functions write at the same time"),
  FN_LOG_READER_BYTES: integer(
    1_048_576,
    "Most that waits for one of them, bytes; what does not fit is lost, and told",
  ),

  FN_DRIVER: choice(["docker", "process"], "docker", "What runs functions; process has no isolation and no limits"),
  DOCKER_HOST: text("unix:///var/run/docker.sock", "Where the Docker Engine listens: unix:// or tcp://"),
  FN_DOCKER_TIMEOUT_MSECS: integer(60_000, "Longest request to Docker, pulls and removals apart", { min: 1 }),
  FN_DOCKER_REMOVE_TIMEOUT_MSECS: integer(30_000, "Longest removal of a container", { min: 1 }),
  FN_DOCKER_PING_MSECS: integer(2_000, "Time between two pings of Docker", { min: 1 }),
  FN_DOCKER_PING_TIMEOUT_MSECS: integer(5_000, "Longest wait for a ping's answer, then Docker is away", { min: 1 }),
  FN_INSTALLATION_ID: text(
    "default",
    "Names what belongs together: leftovers of the same installation and runner are removed",
  ),
  FN_DOCKER_NETWORKS: words(
    [],
    "Docker networks for containers, in turn, and the next where one is full or gone; by default the engine's bridge",
  ),
  FN_EXPERIMENTAL_PREFORK_POOL_SIZE: integer(
    0,
    "Network namespaces held ready, for containers to start in less time; 0 holds none",
  ),
  FN_EXPERIMENTAL_PREFORK_USE_ONCE: flag(
    true,
    "Gives each container a fresh one; false lets containers of different functions have the same, one after the other",
  ),
  FN_EXPERIMENTAL_PREFORK_NETWORKS: words(
    [],
    "Networks they are on, spread by free places, at most 1023 on each; by default the engine's bridge",
  ),
  FN_EXPERIMENTAL_PREFORK_IMAGE: text("", "Image of their holders; by default one of a few bytes that is made here"),
  FN_EXPERIMENTAL_PREFORK_CMD: text("", "Command of that image, which has to go on; by default tail -f /dev/null"),
  FN_PROCESS_FUNCTIONS: text("examples/functions", "Directory of the process driver's function directories"),

  FN_MAX_TOTAL_MEMORY_BYTES: integer(0, "Most memory that containers may book, bytes; 0 takes what the machine has"),
  FN_MAX_TOTAL_CPU_MCPUS: integer(0, "Most CPU that containers may book, thousandths of a core; 0 takes all cores"),
  FN_TMPFS_DEFAULT_MB: integer(64, "Size of /tmp where the function says none, never over its memory", { min: 1 }),
  FN_MAX_TMPFS_INODES: integer(0, "Most files in /tmp; 0 leaves it to the kernel"),
  FN_DISABLE_READONLY_ROOTFS: flag(false, "Lets functions write to their root filesystem"),
  FN_MAX_PIDS: integer(50, "Most processes and threads of a container", { min: 1 }),
  FN_MAX_OPEN_FILES: integer(350, "Most open files of a process", { min: 1 }),
  FN_MAX_LOCKED_MEMORY: integer(65_536, "Most locked memory of a process, bytes"),
  FN_MAX_PENDING_SIGNALS: integer(5_000, "Most queued signals"),
  FN_MAX_MESSAGE_QUEUE: integer(819_200, "Most bytes in POSIX message queues"),
  FN_MAX_FS_SIZE_MB: integer(
    0,
    "Size of a container's own file system, where Docker's storage driver can limit it; 0 sets no limit",
  ),
  FN_DOCKER_RUNTIME: text("", "OCI runtime that Docker runs containers with, such as runsc; by default its own"),
  FN_IMAGE_ENABLE_VOLUME: flag(false, "Allows images that declare a VOLUME"),

  FN_ALLOW_LOCAL_IMAGES: choice(
    ["auto", "true", "false"],
    "auto",
    "Whether images that came from no registry may be used; auto where FN_BIND is loopback",
  ),
  FN_DOCKER_LOAD_FILE: text("", "Tar file of docker save, loaded at the start: images for every app"),

  FN_DOCKER_AUTH: secretText(
    "Registry credentials as JSON: auths as Docker's config.json has them, apps for one app's",
  ),
  DOCKER_CONFIG: text("", "Directory of the config.json with them otherwise, followed; by default ~/.docker"),
  FN_IMAGE_RIGHT_MSECS: integer(
    3_600_000,
    "How long an app that could pull an image may use it before its registry is asked again",
  ),
  FN_IMAGE_REFUSAL_MSECS: integer(
    5_000,
    "How long a registry's refusal is told to calls that ask for the same; 0 asks it each time",
  ),
  FN_HOT_PULL_TIMEOUT_MSECS: integer(600_000, "Longest wait for an image, retries included", { min: 1 }),
  FN_MAX_CONCURRENT_PULLS: integer(4, "Images pulled at the same time", { min: 1 }),
  FN_IMAGE_PULL_RETRIES: integer(3, "How often a pull is tried again"),
  FN_IMAGE_PULL_RETRY_ON: choices(["toomanyrequests", "5xx", "network"], ["toomanyrequests", "5xx"], "After what"),
  FN_IMAGE_PULL_RETRY_MIN_MSECS: integer(250, "Least wait before that"),
  FN_IMAGE_PULL_RETRY_MAX_MSECS: integer(10_000, "Longest wait before that; between them it doubles, by chance"),
  FN_IMAGE_CLEAN_MAX_SIZE: integer(0, "Bytes of all of Docker's images from which unused ones are removed; 0 never"),
  FN_IMAGE_CLEAN_EXEMPT_TAGS: words([], "Images that are never removed"),

  FN_CREATE_TIMEOUT_MSECS: integer(60_000, "Longest creation and start of a container, hooks included", { min: 1 }),
  FN_HOT_START_TIMEOUT_MSECS: integer(5_000, "Longest time from a container's start to its socket", { min: 1 }),
  FN_MAX_CONCURRENT_STARTS: integer(0, "Containers started at the same time; 0 takes twice the cores"),
  FN_MAX_SLOT_WAIT_MSECS: integer(
    5_000,
    "Longest wait for a busy container that should be back before another could start; 0 starts one at once",
  ),
  FN_MAX_WAITING_CALLS: integer(1_000, "Calls of one function that may wait for a container", { min: 1 }),
  FN_CALL_WINDOW_BYTES: integer(
    DEFAULT_WINDOWS.callBytes,
    "Most of one call's request body that is on its way from the gateway or waits here for the function, bytes",
    { min: 65_536, max: 268_435_456 },
  ),
  FN_SESSION_WINDOW_BYTES: integer(
    DEFAULT_WINDOWS.sessionBytes,
    "The same for all calls of one gateway together; when it is used up, further calls have 16 KiB each",
    { min: 1_048_576 },
  ),
  FN_MAX_RESPONSE_SIZE: integer(0, "Largest response body, bytes; 0 sets no limit"),
  FN_MAX_HDR_RESPONSE_SIZE: integer(1_048_576, "Largest response headers, bytes", { min: 1_024 }),
  FN_FREEZE_IDLE_MSECS: integer(
    50,
    "How long a container is idle before it is frozen; 0 freezes at once, negative never",
    {
      min: Number.MIN_SAFE_INTEGER,
    },
  ),
  FN_FREEZE_TIMEOUT_MSECS: integer(5_000, "Longest freezing or thawing; a container that does not thaw is removed", {
    min: 1,
  }),
  FN_PING_MSECS: integer(10_000, "Time between two pings of a gateway", { min: 1 }),
  FN_PING_TIMEOUT_MSECS: integer(5_000, "Longest wait for a ping's answer, then the gateway is gone", { min: 1 }),
  FN_DRAIN_MSECS: integer(
    30_000,
    "How long running calls may go on once the runner is told to stop, or no longer believes their gateway",
  ),
  FN_DRAIN_REMOVE_MSECS: integer(30_000, "How long a runner that stops then waits for its containers to be removed"),
  FN_IOFS_PATH: text("", "Parent of the containers' socket directories; by default the system's temporary directory"),
  FN_IOFS_DOCKER_PATH: text("", "The same directory as the Docker host sees it, where the runner is in a container"),
  FN_IOFS_TMPFS: autoFlag(
    "Gives each socket directory a small file system in memory, which needs root; auto does without where it must",
  ),
  FN_IOFS_OPTS: text("size=1m,nr_inodes=16,mode=0777", "Mount options of those file systems: how much fits in"),
  FN_IOFS_SPARE: integer(
    8,
    "How many of them are mounted ahead, so that no start waits for one; made up a second later",
    {
      max: 1_000,
    },
  ),
} as const;
