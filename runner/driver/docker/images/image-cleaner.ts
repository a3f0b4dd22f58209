import { pause } from "../../../../core/clock.ts";
import type { Log } from "../../../../core/log.ts";
import { isGone } from "../docker-errors.ts";
import { engineCall, type EngineClient } from "../engine-call.ts";
import { ImageCache, type CachedImage } from "./image-cache.ts";
import { inspectImage } from "./inspect-image.ts";

export interface ImageCleaningOptions {
  /** What images may take on disk together, bytes. */
  readonly maxBytes: number;
  readonly exemptTags: readonly string[];
}

/** Keeps an image on the machine until disposed. */
export interface ImageCleaner extends AsyncDisposable {
  /** To be called only for one that is not being removed. */
  hold(image: CachedImage): Disposable;
  /** Resolves when the removal of an image is over, well or not; undefined for one that is not being removed. */
  removal(id: string): Promise<unknown> | undefined;
}

export interface CleanerDependencies extends EngineClient {
  readonly log: Log;
}

/** Between two removals. */
const PACE_MS = 500;
/** Other workers bring and use images too, and so may anybody else. */
const LOOK_AGAIN_MS = 60_000;
/** What could not be removed is in somebody else's use, and not asked for again at once. */
const REFUSED_MS = 60_000;

export const NO_CLEANER: ImageCleaner = {
  hold: () => new DisposableStack(),
  removal: () => undefined,
  [Symbol.asyncDispose]: async () => {},
};

/** Removes the least recently used images while all of them together are over a size. Disposing it ends that. */
export function startImageCleaner(options: ImageCleaningOptions, dependencies: CleanerDependencies): ImageCleaner {
  const { clock, log } = dependencies;
  const stopping = new AbortController();
  const removals = new Map<string, Promise<boolean>>();
  let wake = (): void => {};
  const cache = new ImageCache({ ...options, changed: () => wake() });

  const removeOne = async (image: CachedImage) => {
    const removal = remove(image, dependencies);
    removals.set(image.id, removal);
    const removed = await removal;
    removals.delete(image.id);
    return removed;
  };

  const clean = async () => {
    let lookAt = -Infinity;
    while (!stopping.signal.aborted) {
      // Never while one is removed: it would be counted once more.
      if (clock.now() >= lookAt) {
        await look(cache, dependencies, stopping.signal);
        lookAt = clock.now() + LOOK_AGAIN_MS;
      }
      const changed = new AbortController();
      wake = () => changed.abort();
      if (!cache.overCapacity) {
        await pause(clock, lookAt - clock.now(), AbortSignal.any([stopping.signal, changed.signal]));
        continue;
      }
      const image = cache.pop();
      const removed = image === undefined || (await removeOne(image));
      if (image !== undefined && !removed) cache.update(image);
      await pause(clock, removed ? PACE_MS : REFUSED_MS, stopping.signal);
    }
  };
  const cleaning = clean().catch((error: unknown) => log.error("Images are not cleaned any more", { error }));

  return {
    hold(image) {
      cache.hold(image);
      const held = new DisposableStack();
      held.defer(() => cache.release(image));
      return held;
    },
    removal: (id) => removals.get(id),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await cleaning;
    },
  };
}

/** At what is there, and what of it somebody's containers use. */
async function look(cache: ImageCache, dependencies: CleanerDependencies, stop: AbortSignal): Promise<void> {
  const { docker, log } = dependencies;
  try {
    const images = await engineCall(dependencies, "list the images", (late) =>
      docker.listImages({ abortSignal: AbortSignal.any([late, stop]) }),
    );
    const containers = await engineCall(dependencies, "list the containers", (late) =>
      docker.listContainers({ all: true, abortSignal: AbortSignal.any([late, stop]) }),
    );
    const used = new Set(containers.map(({ ImageID }) => ImageID));
    const there = images.map(({ Id, RepoTags, Size }) => ({ id: Id, tags: RepoTags ?? [], bytes: Size }));
    for (const image of there) cache.learn(image);
    for (const image of there) if (used.has(image.id)) cache.update(image);
  } catch (reason) {
    if (!stop.aborted) log.warn("Images cannot be listed for their cleaning", { reason });
  }
}

/** By its names, as they are now: Docker does not remove by id what has several, and a name may be another image's by now. */
async function remove({ id, tags }: CachedImage, dependencies: CleanerDependencies): Promise<boolean> {
  const { docker, log } = dependencies;
  try {
    const there = await inspectImage(dependencies, id, new AbortController().signal);
    for (const name of [...(there?.RepoTags ?? []), id]) {
      await engineCall(dependencies, "remove the image", (abortSignal) =>
        docker.getImage(name).remove({ abortSignal }),
      ).catch((error: unknown) => {
        if (!isGone(error)) throw error;
      });
    }
    log.info("Removed an image that was not used", { image: tags[0] ?? id });
    return true;
  } catch (reason) {
    log.warn("Image cannot be removed", { image: tags[0] ?? id, reason });
    return false;
  }
}
