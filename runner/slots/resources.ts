import type { Booking } from "./slot.ts";

/** Books memory and CPU for containers. What was booked is given back once, when the container is gone. */
export class Resources {
  readonly total: Booking;
  #memoryMiB = 0;
  #cpuMillis = 0;

  constructor(total: Booking) {
    this.total = total;
  }

  get free(): Booking {
    return { memoryMiB: this.total.memoryMiB - this.#memoryMiB, cpuMillis: this.total.cpuMillis - this.#cpuMillis };
  }

  /** Whether it could ever fit, on an empty runner. */
  couldFit(need: Booking): boolean {
    return need.memoryMiB <= this.total.memoryMiB && need.cpuMillis <= this.total.cpuMillis;
  }

  book(need: Booking): boolean {
    if (!fits(need, this.free)) return false;
    this.#memoryMiB += need.memoryMiB;
    this.#cpuMillis += need.cpuMillis;
    return true;
  }

  release(booked: Booking): void {
    this.#memoryMiB -= booked.memoryMiB;
    this.#cpuMillis -= booked.cpuMillis;
  }
}

export const NOTHING: Booking = { memoryMiB: 0, cpuMillis: 0 };

export function fits(need: Booking, free: Booking): boolean {
  return need.memoryMiB <= free.memoryMiB && need.cpuMillis <= free.cpuMillis;
}

export function plus(a: Booking, b: Booking): Booking {
  return { memoryMiB: a.memoryMiB + b.memoryMiB, cpuMillis: a.cpuMillis + b.cpuMillis };
}

export function minus(a: Booking, b: Booking): Booking {
  return { memoryMiB: a.memoryMiB - b.memoryMiB, cpuMillis: a.cpuMillis - b.cpuMillis };
}
