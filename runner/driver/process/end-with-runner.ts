import { spawn } from "node:child_process";

// POSIX's own way to write it; other ways to name a group differ between shells.
const SCRIPT = 'read -r _; kill -s KILL -- "-$1"';

/**
 * Kills a process group when this process ends without having disposed of it, however it ends. A shell reads from
 * a pipe that nobody writes to: the kernel closes our end of it with us.
 *
 * What remains: the moment between the group's start and this one, and processes that left the group (setsid).
 */
export function endWithRunner(groupId: number): Disposable {
  const watcher = spawn("/bin/sh", ["-c", SCRIPT, "sh", String(groupId)], {
    // So that a terminal's Ctrl-C does not end it before the runner.
    detached: true,
    env: {},
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Without it functions run as well; the runner ends them itself unless it is killed.
  watcher.on("error", () => {});
  watcher.stdin.on("error", () => {});
  watcher.unref();
  return { [Symbol.dispose]: () => void watcher.kill("SIGKILL") };
}
