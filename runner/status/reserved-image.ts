import { CallError } from "../../core/call-error.ts";
import type { Driver, DriverHook } from "../driver/driver.ts";
import type { StatusCalls } from "./status-call.ts";

/**
 * Keeps the status image for the runner's own calls, by whatever name it is asked for: what tells images apart is what
 * the driver finds behind their names.
 */
export interface ReservedImage<Options> {
  /**
   * To be asked before anything is booked for a call. Undefined where its image is known to be another one; otherwise
   * resolves once that is looked up, or cannot be. @throws CallError `image_reserved`
   */
  admit(image: string): Promise<void> | undefined;
  /** The last word, at each start: by then a name may mean another image, or one that was not here before. */
  readonly hook: DriverHook<Options>;
}

/** Names of other images that are remembered. */
const MOST_KNOWN = 1_024;

export function reservedImage<Options>(
  own: string,
  calls: StatusCalls,
  driver: Pick<Driver<Options>, "imageId">,
): ReservedImage<Options> {
  const others = new Set<string>();
  const looking = new Map<string, Promise<void>>();

  const idsOf = (image: string, signal: AbortSignal) =>
    Promise.all([image, own].map(async (name) => driver.imageId?.(name, signal)));

  /** @throws CallError */
  const look = async (image: string, signal: AbortSignal): Promise<void> => {
    if (image === own) throw new CallError("image_reserved");
    const [id, ownId] = await idsOf(image, signal);
    if (id === undefined) return;
    if (id === ownId) throw new CallError("image_reserved");
    for (const oldest of others) if (others.size >= MOST_KNOWN) others.delete(oldest);
    others.add(image);
  };

  const lookAhead = async (image: string): Promise<void> => {
    try {
      await look(image, new AbortController().signal);
    } catch (error) {
      // What cannot be found out now is found out at the start.
      if (error instanceof CallError && error.code === "image_reserved") throw error;
    } finally {
      looking.delete(image);
    }
  };

  return {
    admit(image) {
      if (others.has(image)) return undefined;
      let answer = looking.get(image);
      if (answer === undefined) looking.set(image, (answer = lookAhead(image)));
      return answer;
    },
    hook: {
      start: (next) => async (start, signal) => {
        const { image } = start.task;
        if (calls.isOwn(start.task)) return next(start, signal);
        others.delete(image);
        await look(image, signal);
        return next(start, signal);
      },
    },
  };
}
