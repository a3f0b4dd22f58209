import { CallError } from "../../../../core/call-error.ts";
import { silentLog, type Log } from "../../../../core/log.ts";
import type { EngineClient } from "../engine-call.ts";
import { unlessAborted } from "../unless-aborted.ts";
import { createImageAccess, type ImageRequest } from "./image-access.ts";
import { NO_CLEANER, startImageCleaner, type ImageCleaningOptions } from "./image-cleaner.ts";
import { imageOrigin, type ImageDescription } from "./image-origin.ts";
import { ImageRights } from "./image-rights.ts";
import { inspectImage } from "./inspect-image.ts";
import type { PullRetries } from "./pull-retry.ts";
import { RecentRefusals } from "./recent-refusals.ts";
import { NO_AUTHS, type RegistryAuths } from "./registry-auths.ts";
import { createRegistry, isRefusal } from "./registry.ts";
import { SharedWork } from "./shared-work.ts";

export interface ImageOptions {
  /** Of a whole pull, waiting and retries included, from when it was asked for. Ten minutes. */
  readonly pullTimeoutMs?: number;
  /** VOLUME in an image gives each container a directory on the host's disk, without a quota. False refuses it. */
  readonly allowVolumes?: boolean;
  /** Whether images that came from no registry may be used. */
  readonly allowLocal?: boolean;
  /** Ids of images that the operator put there for everybody. */
  readonly everybodys?: ReadonlySet<string>;
  readonly auths?: RegistryAuths;
  /** How long a right to pull is believed before its registry is asked again. An hour. */
  readonly rightMs?: number;
  /** How long a registry's refusal answers those who ask for the same. Five seconds. */
  readonly refusalMs?: number;
  readonly pullsAtOnce?: number;
  readonly retries?: PullRetries;
  /** Without it images stay for good. */
  readonly cleaning?: ImageCleaningOptions | undefined;
}

/** The daemon's images: looks them up, and pulls what is missing. Disposing it ends all pulls. */
export interface Images extends AsyncDisposable {
  /** Resolves with what keeps the image there. @throws CallError `image_*`, `docker_unavailable` */
  prepare(request: ImageRequest, signal: AbortSignal): Promise<Disposable>;
}

const NO_RETRIES: PullRetries = { retries: 0, minDelayMs: 0, stepMs: 0, maxDelayMs: 0, on: [] };
const HOUR_MS = 3_600_000;
const REFUSAL_MS = 5_000;
const PULLS_AT_ONCE = 4;

export function createImages(client: EngineClient, options: ImageOptions = {}, log: Log = silentLog): Images {
  const { docker, clock } = client;
  const { allowVolumes = false, allowLocal = true, everybodys, auths = NO_AUTHS, retries = NO_RETRIES } = options;
  const { pullTimeoutMs = 600_000, rightMs = HOUR_MS, refusalMs = REFUSAL_MS } = options;
  const { pullsAtOnce = PULLS_AT_ONCE, cleaning } = options;
  const refusals = new RecentRefusals(clock, refusalMs);
  const rights = new ImageRights(clock, rightMs);
  const registry = createRegistry({ docker, clock, log, retries, atOnce: pullsAtOnce });
  const access = createImageAccess(auths, rights, registry);
  const shared = new SharedWork<ImageDescription>(pullTimeoutMs, clock);
  const cleaner = cleaning === undefined ? NO_CLEANER : startImageCleaner(cleaning, { ...client, log });

  /** Whether it came from no registry, as far as can be told, and may be used all the same. */
  const isFree = (found: ImageDescription, image: string): boolean => {
    if (everybodys?.has(found.Id) === true) return true;
    return allowLocal && imageOrigin(found, image).kind !== "registry";
  };

  const obtain = async (request: ImageRequest, signal: AbortSignal): Promise<ImageDescription> => {
    const { image } = request;
    const there = await inspectImage(client, image, signal);
    if (there !== undefined && (await access.prove(request, there, signal))) return there;
    const credentials = access.credentials(request);
    try {
      await registry.pull(image, credentials, signal);
    } catch (error) {
      throw there !== undefined && imageOrigin(there, image).kind === "local" ? localRefused(error, image) : error;
    }
    const pulled = await inspectImage(client, image, signal);
    if (pulled === undefined) {
      throw new CallError("image_pull_failed", `Failed to pull image '${image}': it was pulled and is not there`);
    }
    rights.grant(credentials, pulled.Id);
    return pulled;
  };

  const usable = async (request: ImageRequest, signal: AbortSignal): Promise<ImageDescription> => {
    const { image } = request;
    const there = await inspectImage(client, image, signal);
    if (there !== undefined && (isFree(there, image) || access.isKnown(request, there))) return there;
    const late = () => tooLate(image, pullTimeoutMs);
    const key = access.key(request);
    const refusal = refusals.find(key);
    if (refusal !== undefined) throw refusal;
    try {
      return await shared.wait(key, (stop) => obtain(request, stop), late, signal);
    } catch (error) {
      if (error instanceof CallError && error.code === "image_pull_failed" && isRefusal(error))
        refusals.keep(key, error);
      throw error;
    }
  };

  return {
    async prepare(request, signal) {
      let found = await usable(request, signal);
      for (let gone = cleaner.removal(found.Id); gone !== undefined; gone = cleaner.removal(found.Id)) {
        await unlessAborted(gone, signal);
        found = await usable(request, signal);
      }
      const volumes = Object.keys(found.Config?.Volumes ?? {});
      if (volumes.length > 0 && !allowVolumes) {
        const declared = `'${request.image}' declares ${volumes.join(", ")}`;
        throw new CallError("image_has_volume", `image has Volume definition: ${declared}`);
      }
      return cleaner.hold({ id: found.Id, tags: found.RepoTags ?? [], bytes: found.Size ?? 0 });
    },
    async [Symbol.asyncDispose]() {
      shared.end(new CallError("shutting_down"));
      await cleaner[Symbol.asyncDispose]();
    },
  };
}

function tooLate(image: string, timeoutMs: number): CallError {
  const text = `Image pull timed out: '${image}' was not there after ${timeoutMs} ms, FN_HOT_PULL_TIMEOUT_MSECS`;
  return new CallError("image_pull_timeout", text);
}

function localRefused(cause: unknown, image: string): CallError {
  const { code, status, message } = CallError.from(cause, "image_pull_failed");
  const why = `image '${image}' is only on this machine, which FN_ALLOW_LOCAL_IMAGES does not allow`;
  return new CallError(code, `${message} (${why})`, { status, cause });
}
