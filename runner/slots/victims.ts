import { fits, plus } from "./resources.ts";
import type { Booking } from "./slot.ts";

/** Those of the idle that must go for `need` to fit into `room`. Undefined: not even all of them would do. */
export function victims<V extends { readonly request: { readonly booking: Booking } }>(
  need: Booking,
  room: Booking,
  idle: Iterable<V>,
): readonly V[] | undefined {
  const chosen: V[] = [];
  let free = room;
  for (const one of idle) {
    if (fits(need, free)) break;
    chosen.push(one);
    free = plus(free, one.request.booking);
  }
  return fits(need, free) ? chosen : undefined;
}
