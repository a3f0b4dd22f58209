import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { type Clock, systemClock } from "../../core/clock.ts";
import { type Log, silentLog } from "../../core/log.ts";
import { findHomes, OWNER_SOCKET } from "./homes.ts";
import { openSocketTmpfs, type SocketTmpfs, type SocketTmpfsOptions, unmountBelow } from "./socket-tmpfs.ts";
import { Spares } from "./spares.ts";

export interface SocketDirectoriesOptions {
  /** Where the runner's own directory is made (`FN_IOFS_PATH`). */
  readonly parent?: string | undefined;
  /** Same for every start of one installation, so that a start finds what a dead one left. */
  readonly installation: string;
  /** Which of the runners of an installation this is, where it is one of several; 0 unless told. */
  readonly worker?: number;
  /** Another one for every start of a runner. */
  readonly bootId: string;
  /** Without it they are plain directories. */
  readonly tmpfs?: SocketTmpfsOptions;
  /** How many of them are mounted ahead: a mount takes some 9 ms of a cold start. None unless told. */
  readonly spare?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** A directory for the socket of one container. Disposing it removes it with all that is in it. */
export interface SocketDirectory extends AsyncDisposable {
  /** Names it, and is for its container to be named by. Nobody can guess it: who knows a path can use it. */
  readonly id: string;
  readonly path: string;
}

/** One runner's socket directories, below a directory of its own. Disposing it removes them all. */
export interface SocketDirectories extends AsyncDisposable {
  create(): Promise<SocketDirectory>;
  /** Whether a runner that is this one, or another worker of its installation, lives and has its directories beside these. */
  hasLivingPeer(worker?: number): Promise<boolean>;
}

// A unix socket's path has 108 bytes in the kernel, the last of them zero.
const LONGEST_SOCKET_PATH = 107;
const ID_BYTES = 8;
const ID_LENGTH = newId().length;
// Fn's FDK for Go binds this beside lsnr.sock; no other library has a longer name.
const LONGEST_SOCKET_NAME = "phonylsnr.sock";

/**
 * Opens the directory of this runner and removes those of dead runners of the same installation.
 * @throws Error if `parent` cannot hold sockets
 */
export async function socketDirectories(options: SocketDirectoriesOptions): Promise<SocketDirectories> {
  const { installation, worker = 0, bootId, spare = 0, clock = systemClock, log = silentLog } = options;
  const parent = resolve(options.parent ?? tmpdir());
  const prefix = `kiln-${shortHash(installation)}-`;
  const home = join(parent, `${prefix}${worker}-${shortHash(bootId)}`);
  checkLength(parent, home);

  for (const dead of await findHomes(parent, prefix, "dead")) await removeHome(dead, log);
  await using made = new AsyncDisposableStack();
  made.use(await openHome(parent, home));
  made.defer(() => removeHome(home, log));
  const tmpfs = options.tmpfs === undefined ? undefined : await openSocketTmpfs(home, options.tmpfs, log);
  const create = async (): Promise<SocketDirectory> => {
    const id = newId();
    const path = join(home, id);
    await make(path, tmpfs);
    return { id, path, [Symbol.asyncDispose]: () => remove(path, log, tmpfs) };
  };
  const failed = (error: unknown) => log.warn("Socket directory cannot be made ahead", { error });
  // A plain one is made in no time.
  const most = tmpfs === undefined ? 0 : spare;
  const spares = made.use(new Spares({ most, make: create, failed, clock }));
  const owned = made.move();
  return {
    create: () => spares.take(),
    async hasLivingPeer(number = worker) {
      return (await findHomes(parent, `${prefix}${number}-`, "living")).some((other) => other !== home);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Makes the runner's directory with a listening socket in it: as long as that takes connections its runner lives,
 * whatever became of process ids. It is moved into place only then, so that no other runner finds it without.
 */
async function openHome(parent: string, home: string): Promise<AsyncDisposable> {
  await using made = new AsyncDisposableStack();
  try {
    const unfinished = await mkdtemp(join(parent, "kiln-new-"));
    made.defer(() => rm(unfinished, { recursive: true, force: true }));
    const owner = made.use(createServer((socket) => socket.destroy()));
    await once(owner.listen(join(unfinished, OWNER_SOCKET)), "listening");
    owner.unref();
    // Containers' users pass through it and cannot see what else is there.
    await chmod(unfinished, 0o711);
    await rename(unfinished, home);
    return made.move();
  } catch (cause) {
    const expected = "expected a directory that is writable, without another runner of this boot id";
    throw new Error(`Cannot make socket directories in "${parent}" (FN_IOFS_PATH): ${expected}`, { cause });
  }
}

async function make(path: string, tmpfs: SocketTmpfs | undefined): Promise<void> {
  await mkdir(path);
  try {
    await tmpfs?.mount(path);
  } catch (error) {
    await rm(path, { recursive: true, force: true });
    throw error;
  }
  // The function's user is another one than ours. Not as mkdir's mode, which the umask would narrow.
  await chmod(path, 0o777);
}

/** The socket goes last: a removal that was cut short is then found by the next start. */
async function removeHome(home: string, log: Log): Promise<void> {
  await unmountBelow(home);
  const names = await readdir(home).catch(() => []);
  for (const name of names) if (name !== OWNER_SOCKET) await remove(join(home, name), log);
  await remove(home, log);
}

/** What cannot be removed is reported and left: a function must not be able to break its runner that way. */
async function remove(path: string, log: Log, tmpfs?: SocketTmpfs): Promise<void> {
  try {
    // What was removed once is no mount any more.
    if (tmpfs !== undefined && existsSync(path)) await tmpfs.unmount(path);
    await rm(path, { recursive: true, force: true, maxRetries: 2 });
  } catch (error) {
    log.warn("Socket directory cannot be removed", { path, error });
  }
}

function checkLength(parent: string, home: string): void {
  const longest = join(home, "x".repeat(ID_LENGTH), LONGEST_SOCKET_NAME);
  const excess = Buffer.byteLength(longest) - LONGEST_SOCKET_PATH;
  if (excess <= 0) return;
  throw new Error(
    `Cannot use "${parent}" for sockets (FN_IOFS_PATH): a socket's path has at most ${LONGEST_SOCKET_PATH} bytes, ` +
      `so this one must have at most ${Buffer.byteLength(parent) - excess}`,
  );
}

function newId(): string {
  return `kiln-${randomBytes(ID_BYTES).toString("hex")}`;
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
