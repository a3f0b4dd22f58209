import { once } from "node:events";
import { lstat, readdir } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";

/** The socket a living runner listens on in its own directory. No container's id has a dot. */
export const OWNER_SOCKET = "owner.sock";

/** Whose a directory of sockets is: `unsure` where no socket tells. */
type Owner = "living" | "dead" | "unsure";

/** The directories below `parent` with this prefix whose runner certainly lives, or is certainly gone. */
export async function findHomes(parent: string, prefix: string, owner: Owner): Promise<readonly string[]> {
  const names = await readdir(parent).catch(() => []);
  const homes = names.filter((name) => name.startsWith(prefix)).map((name) => join(parent, name));
  const found = await Promise.all(homes.map(async (home) => (await isOurs(home)) && (await ownerOf(home)) === owner));
  return homes.filter((_, index) => found[index]);
}

/** A directory another user made, or a link to elsewhere, is none of our business. */
async function isOurs(home: string): Promise<boolean> {
  const found = await lstat(home).catch(() => undefined);
  return found !== undefined && found.isDirectory() && found.uid === process.getuid?.();
}

/**
 * Only a refusal proves a death. Without any socket it cannot be told: a runner whose socket was swept from
 * a temporary directory may well live.
 */
async function ownerOf(home: string): Promise<Owner> {
  const socket = connect(join(home, OWNER_SOCKET));
  try {
    await once(socket, "connect");
    return "living";
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ECONNREFUSED" ? "dead" : "unsure";
  } finally {
    socket.destroy();
  }
}
