import { CallError } from "../../core/call-error.ts";
import type { Driver, DriverHook } from "../driver/driver.ts";
import type { StatusCalls } from "./status-call.ts";

/**
 * Starts no container of the status image for anybody else, by whatever name it is asked for: what tells images
 * apart is what the driver finds behind their names.
 */
export function reservedImage<Options>(
  image: string,
  calls: StatusCalls,
  driver: Pick<Driver<Options>, "imageId">,
): DriverHook<Options> {
  return {
    start: (next) => async (start, signal) => {
      const { task } = start;
      if (!calls.isOwn(task) && (await isSame(task.image, image, driver, signal))) {
        throw new CallError("image_reserved");
      }
      return next(start, signal);
    },
  };
}

async function isSame(
  one: string,
  other: string,
  driver: Pick<Driver, "imageId">,
  signal: AbortSignal,
): Promise<boolean> {
  if (one === other) return true;
  if (driver.imageId === undefined) return false;
  const [first, second] = await Promise.all([driver.imageId(one, signal), driver.imageId(other, signal)]);
  return first !== undefined && first === second;
}
