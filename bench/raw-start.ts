import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { newCallId } from "../core/call.ts";
import { containerTask } from "../core/container-task.ts";
import { DEFAULTS } from "../core/function-spec.ts";
import { engineClient } from "../kiln/testing/engine-client.ts";
import { containerEngine } from "../runner/driver/docker/container-engine.ts";
import { containerOptions } from "../runner/driver/docker/container-options.ts";
import type { Docker } from "../runner/driver/docker/engine.ts";
import { DEFAULT_SANDBOX } from "../runner/driver/docker/sandbox.ts";
import { watchSocket } from "../runner/hot/socket-ready.ts";
import { callOnce } from "./call-once.ts";
import type { ColdStart } from "./cold-start.ts";

const SOCKET_MS = 20_000;

/**
 * Creates and starts the container that Kiln would, calls its function once, and removes it: Docker alone, no Kiln.
 * @param joined - the container whose network namespace it joins
 */
export async function rawStart(docker: Docker, image: string, joined?: string): Promise<ColdStart> {
  await using made = new AsyncDisposableStack();
  const socketDirectory = await mkdtemp(join(tmpdir(), "kiln-bench-raw-"));
  made.defer(() => rm(socketDirectory, { recursive: true, force: true }));
  await chmod(socketDirectory, 0o777);
  using watch = watchSocket(socketDirectory);
  const options = optionsFor(image, socketDirectory);
  if (joined !== undefined) options.HostConfig = { ...options.HostConfig, NetworkMode: `container:${joined}` };

  const engine = containerEngine(engineClient(docker));

  const asked = performance.now();
  const id = await engine.create(options);
  made.defer(async () => void (await engine.remove(id)));
  const created = performance.now();
  await engine.start(id);
  const started = performance.now();
  const socketPath = await watch.ready(AbortSignal.timeout(SOCKET_MS));
  const listening = performance.now();
  await callOnce({ socketPath, path: "/call" });
  const answered = performance.now();
  return {
    create: created - asked,
    start: started - created,
    socket: listening - started,
    answer: answered - listening,
    total: answered - asked,
  };
}

function optionsFor(image: string, socketDirectory: string): ReturnType<typeof containerOptions> {
  const id = `kiln-bench-${randomBytes(6).toString("hex")}`;
  const task = containerTask({
    ...DEFAULTS,
    id: newCallId(),
    type: "sync",
    appId: "bench",
    appName: "bench",
    fnId: id,
    fnName: id,
    image,
    memoryMiB: 64,
    config: {},
    annotations: {},
    syslogUrl: "",
    networkDisabled: false,
    method: "POST",
    url: "http://localhost/",
    headers: [],
    extensions: {},
    callExtensions: {},
    registryToken: "",
  });
  const installation = { id, runnerId: id, bootId: id };
  return containerOptions({
    task,
    place: { id, socketDirectory },
    sandbox: DEFAULT_SANDBOX,
    installation,
    network: "",
  });
}
