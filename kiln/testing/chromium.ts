import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const PROGRAM = "chromium";
const PAGE_MS = 30_000;
const MOST_BYTES = 64 * 1_048_576;
const run = promisify(execFile);

/** Why tests cannot open pages; false where they can. An error under CI, where nothing may be skipped in silence. */
export async function chromiumOrSkip(environment: NodeJS.ProcessEnv = process.env): Promise<string | false> {
  const there = await run(PROGRAM, ["--version"], { env: environment }).then(
    () => true,
    () => false,
  );
  if (there) return false;
  const skip = `there is no ${PROGRAM}: install Debian's package of that name`;
  if (environment["CI"] === "true") throw new Error(`Cannot test with a browser: ${skip}, and CI is "true"`);
  return skip;
}

export interface OpenedPage {
  /** Its document once it has loaded, as HTML. */
  readonly dom: string;
  /** What the browser had to say of it: scripts' and policies' errors. */
  readonly console: readonly string[];
}

/** Opens a page of this machine in a browser that reaches no other. */
export async function openPage(url: string): Promise<OpenedPage> {
  const profile = await mkdtemp(join(tmpdir(), "kiln-chromium-"));
  try {
    const options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"];
    const offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";
    const { stdout, stderr } = await run(PROGRAM, [...options, offline, `--user-data-dir=${profile}`, url], {
      timeout: PAGE_MS,
      maxBuffer: MOST_BYTES,
    });
    return { dom: stdout, console: stderr.split("\n").filter((line) => line.includes("CONSOLE")) };
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
