import type { Need } from "./candidate.ts";
import type { Lane } from "./lane.ts";
import type { RunnerView } from "./runner-view.ts";

/** A call in the waiting room. */
export interface Ticket {
  readonly need: Need;
  /** In the order they came. */
  readonly number: number;
  readonly lane: Lane;
  /** Tells it to try again: this runner, or all of them. It is out until it comes back or leaves. */
  readonly wake: (view: RunnerView | undefined) => void;
  state: "waiting" | "out" | "gone";
  /** It was woken to ask all runners, though none had told of room. */
  probing: boolean;
  before: Ticket | undefined;
  after: Ticket | undefined;
}

/** Tickets by number. Whoever comes back stands where they stood; leaving takes no search. */
export class WaitingList {
  #first: Ticket | undefined;
  #last: Ticket | undefined;

  get first(): Ticket | undefined {
    return this.#first;
  }

  add(ticket: Ticket): void {
    const after = this.#first !== undefined && ticket.number < this.#first.number ? undefined : this.#seek(ticket);
    ticket.before = after;
    ticket.after = after === undefined ? this.#first : after.after;
    if (ticket.before === undefined) this.#first = ticket;
    else ticket.before.after = ticket;
    if (ticket.after === undefined) this.#last = ticket;
    else ticket.after.before = ticket;
  }

  remove(ticket: Ticket): void {
    if (ticket.before === undefined) this.#first = ticket.after;
    else ticket.before.after = ticket.after;
    if (ticket.after === undefined) this.#last = ticket.before;
    else ticket.after.before = ticket.before;
    ticket.before = undefined;
    ticket.after = undefined;
  }

  /** After whom it stands. Those that come back stand near the front, those that come near the end. */
  #seek(ticket: Ticket): Ticket | undefined {
    const { number } = ticket;
    let [front, back] = [this.#first, this.#last];
    while (back !== undefined && back.number > number) {
      if (front?.after === undefined || front.after.number > number) return front;
      front = front.after;
      back = back.before;
    }
    return back;
  }
}
