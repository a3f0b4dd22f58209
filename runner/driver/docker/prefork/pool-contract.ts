import type { NetworkTrouble } from "../networks/network-trouble.ts";
import type { Rate } from "./token-bucket.ts";

export interface PoolOptions {
  /** Holders, never more and never fewer. */
  readonly size: number;
  /** A holder whose function container ended gets a fresh network namespace before another may have it. */
  readonly useOnce: boolean;
  readonly networks: readonly string[];
  /** Of initialising; what is ready is exempt. */
  readonly rate: Rate;
}

/** What the pool wants done. Each is answered once, by the method named. */
export interface PoolEffects {
  /** Count its places. `looked` */
  look(network: string): void;
  /** Remove what there is of a holder, and create it anew. `initialised` or `failed` */
  initialise(holder: number, network: string): void;
  /** Start a created holder. `started` or `failed`; once it has started, `ended` follows when its process has ended. */
  start(holder: number): void;
  /** Kill a holder. `ended`, or `failed` */
  kill(holder: number): void;
  /** Remove a holder for good. `removed` */
  remove(holder: number): void;
  /** A holder died with a function container in its namespace. Not answered. */
  lost(lease: Lease): void;
  /** News of a network, once each time: no holder goes there for now, or again. Not answered. */
  network(name: string, news: NetworkTrouble | "back"): void;
  /** A holder went from one state to another. Not answered. */
  moved(from: HolderState, to: HolderState): void;
  /** So many holders have no place on any network. Told once each time. Not answered. */
  short(holders: number): void;
}

/** The right to put one container into a holder's network namespace. */
export interface Lease {
  readonly holder: number;
}

/**
 * A holder's life. It is *initialising* while it waits and while it is created, and *ready* in all other states:
 * from there it comes back to the free ones without being created, and without asking the limiter.
 */
export type HolderState =
  | "waiting"
  | "creating"
  | "starting"
  | "free"
  | "used"
  | "recycling"
  // The pool closes: what is under way is waited for, then it is removed.
  | "leaving"
  | "removing"
  | "removed";

export interface PoolCounts {
  readonly initialising: number;
  readonly starting: number;
  readonly free: number;
  readonly used: number;
  readonly recycling: number;
}
