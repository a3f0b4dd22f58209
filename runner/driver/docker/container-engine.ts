import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";

import type { ContainerCreateOptions } from "dockerode";

import { CallError } from "../../../core/call-error.ts";
import { pause } from "../../../core/clock.ts";
import { engineFailure, unlessGone, type EngineStep } from "./docker-errors.ts";
import { engineCall, type EngineClient } from "./engine-call.ts";
import type { Docker } from "./engine.ts";

/** The Engine's calls for single containers: bounded in time, failing with CallErrors, with what dockerode leaves out. */
export interface ContainerEngine {
  /** Cannot be aborted: the daemon would go on, and what it then makes would be nobody's. */
  create(options: ContainerCreateOptions): Promise<string>;
  attach(id: string, streams: { readonly stdout: boolean; readonly stderr: boolean }): Promise<Duplex>;
  /** Resolves once the daemon watches for the container's end. */
  watch(id: string, condition: "next-exit" | "not-running", signal: AbortSignal): Promise<ExitWatch>;
  start(id: string): Promise<void>;
  /** Does nothing to one that does not run. */
  kill(id: string): Promise<void>;
  /** The process id on the daemon's machine of its first process. */
  pid(id: string): Promise<number>;
  pause(id: string, signal: AbortSignal): Promise<void>;
  unpause(id: string, signal: AbortSignal): Promise<void>;
  /** Whether the kernel killed a process of it for its memory; false too for a container that is gone. */
  outOfMemory(id: string): Promise<boolean>;
  /** Resolves when nothing is left of it. False: there was nothing. */
  remove(idOrName: string): Promise<boolean>;
}

export interface ExitWatch {
  /** The exit code. Rejects if the daemon goes away, or does not know the container any more. */
  readonly ended: Promise<number>;
}

const REMOVE_RETRY_MS = 100;

export function containerEngine(client: EngineClient): ContainerEngine {
  const { docker } = client;
  const bounded = <T>(step: EngineStep, call: (abortSignal: AbortSignal) => Promise<T>) =>
    engineCall(client, step, call);

  return {
    async create({ name, platform, ...body }) {
      // Left to itself, dockerode writes all of the options, secrets too, into the URL as well.
      const request: object = { _query: platform === undefined ? { name } : { name, platform }, _body: body };
      const made = await bounded("create the container", (abortSignal) =>
        docker.createContainer({ ...request, abortSignal }),
      );
      return made.id;
    },

    attach: (id, streams) =>
      bounded("attach to the container", async (abortSignal) => {
        const stream = await docker.getContainer(id).attach({ stream: true, hijack: true, ...streams, abortSignal });
        // A bare socket, which dockerode's types do not say.
        return stream as Duplex;
      }),

    watch: (id, condition, signal) =>
      bounded("wait for the container", (timeout) =>
        openWatch(docker, id, condition, AbortSignal.any([signal, timeout])),
      ),

    start: (id) =>
      bounded("start the container", async (abortSignal) => {
        await docker.getContainer(id).start({ abortSignal });
      }),

    kill: (id) =>
      bounded("kill the container", async (abortSignal) => {
        await docker.getContainer(id).kill({ abortSignal }).catch(unlessStopped);
      }),

    pid: (id) =>
      bounded("inspect the container", async (abortSignal) => {
        const { State } = await docker.getContainer(id).inspect({ abortSignal });
        if (State.Pid > 0) return State.Pid;
        throw new CallError("runner_internal", "Docker says the container is not running");
      }),

    pause: (id, signal) =>
      bounded("pause the container", async (timeout) => {
        await docker.getContainer(id).pause({ abortSignal: AbortSignal.any([signal, timeout]) });
      }),

    unpause: (id, signal) =>
      bounded("unpause the container", async (timeout) => {
        await docker.getContainer(id).unpause({ abortSignal: AbortSignal.any([signal, timeout]) });
      }),

    outOfMemory: (id) =>
      bounded("inspect the container", async (abortSignal) => {
        const info = await docker.getContainer(id).inspect({ abortSignal }).catch(unlessGone);
        return info?.State.OOMKilled ?? false;
      }),

    remove: (idOrName) => removeUntilGone(client, idOrName),
  };
}

function unlessStopped(error: unknown): void {
  if (engineFailure(error).status !== 409) throw error;
}

/** Removes a container by force, its volumes too, and waits while somebody else does or its process lingers. */
async function removeUntilGone(client: EngineClient, idOrName: string): Promise<boolean> {
  const { docker, clock } = client;
  const { requestMs, removeMs } = client.timeouts;
  const until = clock.now() + removeMs;
  const setting = removeMs < requestMs ? "FN_DOCKER_REMOVE_TIMEOUT_MSECS" : undefined;
  for (let asked = false; ; asked = true) {
    try {
      const remove = (abortSignal: AbortSignal) =>
        docker.getContainer(idOrName).remove({ force: true, v: true, abortSignal });
      await engineCall(client, "remove the container", remove, Math.min(requestMs, removeMs), setting);
      return true;
    } catch (error) {
      const { status } = engineFailure(error);
      if (status === 404) return asked;
      if ((status !== undefined && status < 409) || clock.now() > until) throw error;
      await pause(clock, REMOVE_RETRY_MS);
    }
  }
}

/**
 * Dockerode's own wait() says nothing until the container has ended, so that a start after it may come too early,
 * and nothing ever if the daemon goes away meanwhile.
 */
async function openWatch(docker: Docker, id: string, condition: string, abortSignal: AbortSignal): Promise<ExitWatch> {
  const request = {
    path: `/containers/${id}/wait?`,
    method: "POST",
    options: { condition },
    statusCodes: { 200: true, 400: "bad parameter", 404: "no such container", 500: "server error" },
    isStream: true,
    abortSignal,
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    docker.modem.dial(request, (error, answer) =>
      error === null ? resolve(answer as IncomingMessage) : reject(error),
    );
  });
  return { ended: text(response).then(exitCode) };
}

function exitCode(answer: string): number {
  const read: unknown = JSON.parse(answer);
  if (typeof read === "object" && read !== null && "StatusCode" in read && typeof read.StatusCode === "number") {
    return read.StatusCode;
  }
  throw new Error(`Docker's wait answered ${JSON.stringify(answer.slice(0, 200))}, expected an exit code`);
}
