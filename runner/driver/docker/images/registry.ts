import { CallError } from "../../../../core/call-error.ts";
import type { Clock } from "../../../../core/clock.ts";
import { Gate } from "../../../../core/gate.ts";
import type { Log } from "../../../../core/log.ts";
import { engineFailure, pullError } from "../docker-errors.ts";
import type { Docker } from "../engine.ts";
import { abortReason, unlessAborted } from "../unless-aborted.ts";
import { pullImage } from "./pull-image.ts";
import { PULL_TROUBLES, withRetries, type PullRetries } from "./pull-retry.ts";
import type { RegistryCredentials } from "./registry-auths.ts";

export interface RegistryOptions {
  readonly docker: Docker;
  readonly clock: Clock;
  readonly log: Log;
  readonly retries: PullRetries;
  /** Pulls at the same time, and as many questions beside them. */
  readonly atOnce: number;
}

/** Registries, as the daemon reaches them: with its mirrors, its certificates and its proxies. */
export interface Registry {
  /** @throws CallError `image_pull_failed`, `docker_unavailable`, or the signal's reason */
  pull(image: string, credentials: RegistryCredentials | undefined, signal: AbortSignal): Promise<void>;
  /** Whether these credentials are good for pulling, asked without pulling. @throws CallError if no answer comes */
  mayPull(reference: string, credentials: RegistryCredentials | undefined, signal: AbortSignal): Promise<boolean>;
}

export function createRegistry({ docker, clock, log, retries, atOnce }: RegistryOptions): Registry {
  const pulls = new Gate(atOnce);
  const questions = new Gate(atOnce);

  const retrying = <T>(image: string, attempt: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    const retried = (reason: CallError, retry: number) =>
      log.warn("Registry failed and is tried again", { image, retry, reason });
    const isTrouble = (error: unknown): error is CallError =>
      error instanceof CallError && retries.on.some((trouble) => PULL_TROUBLES[trouble].test(error.message));
    return withRetries(attempt, isTrouble, { policy: retries, clock, retried }, signal);
  };

  const ask = async (
    reference: string,
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<boolean> => {
    try {
      // Dockerode cannot abort this request.
      await unlessAborted(docker.getImage(reference).distribution({ authconfig: credentials }), signal);
      return true;
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      if (isRefusal(error)) return false;
      throw pullError(error, `Cannot find out whether image '${reference}', which is here, may be used`);
    }
  };

  return {
    async pull(image, credentials, signal) {
      using _turn = await pulls.enter(signal);
      await retrying(image, () => pullImage(docker, image, credentials, signal), signal);
    },

    async mayPull(reference, credentials, signal) {
      using _turn = await questions.enter(signal);
      return await retrying(reference, () => ask(reference, credentials, signal), signal);
    },
  };
}

/** The registry's no, whichever status the daemon made of it. */
export function isRefusal(error: unknown): boolean {
  const { status = 0, message } = engineFailure(error);
  return (
    [401, 403, 404].includes(status) || /unauthorized|no basic auth credentials|denied|manifest unknown/i.test(message)
  );
}
