import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { VirtualClock } from "../../../../../kiln/testing/virtual-clock.ts";
import type { Lease, PoolEffects, PoolOptions } from "../../../../../runner/driver/docker/prefork/pool-contract.ts";
import { PreforkPool } from "../../../../../runner/driver/docker/prefork/pool.ts";

const RATE = { perSecond: 10, burst: 20 };

/** A pool whose Docker does at once what it is told, unless a test takes that over; everything is written down. */
function poolFor(options: Partial<PoolOptions> = {}, own: Partial<PoolEffects> = {}) {
  const clock = new VirtualClock();
  const did: string[] = [];
  const lost: Lease[] = [];
  const { networks = ["net"] } = options;
  const effects: PoolEffects = {
    look: (network) => pool.looked(network, 1_000),
    initialise: (holder) => pool.initialised(holder),
    start: (holder) => pool.started(holder),
    kill: (holder) => pool.ended(holder),
    remove: (holder) => pool.removed(holder),
    lost: (lease) => void lost.push(lease),
    network: () => {},
    short: () => {},
    moved: () => {},
    ...own,
  };
  const written = Object.fromEntries(
    Object.entries(effects).map(([name, effect]: [string, (...args: never[]) => void]) => [
      name,
      (...args: never[]) => {
        if (name === "moved") return;
        did.push([name, ...args.filter((arg) => typeof arg !== "object")].join(" "));
        effect(...args);
      },
    ]),
  ) as unknown as PoolEffects;
  const pool: PreforkPool = new PreforkPool(
    { size: 2, useOnce: true, rate: RATE, ...options, networks },
    written,
    clock,
  );
  const taken = (): Lease => {
    const lease = pool.take();
    assert.ok(lease !== undefined, "a holder is free");
    return lease;
  };
  const told = () => did.splice(0);
  const times = (name: string) => did.filter((line) => line.startsWith(`${name} `)).length;
  return { pool, clock, lost, taken, told, times };
}

describe("PreforkPool", () => {
  it("initialises all holders, and hands each out once", () => {
    const { pool, taken, told } = poolFor();

    pool.open();

    assert.deepEqual(told(), ["look net", "initialise 0 net", "start 0", "initialise 1 net", "start 1"]);
    assert.deepEqual(new Set([taken().holder, taken().holder]), new Set([0, 1]));
    assert.equal(pool.take(), undefined);
  });

  it("gives a used holder back only after it was killed and started, and never creates it again", () => {
    const kills: number[] = [];
    const { pool, taken, told } = poolFor({ size: 1 }, { kill: (holder) => void kills.push(holder) });
    pool.open();
    const lease = taken();
    told();

    pool.giveBack(lease);
    assert.deepEqual([kills, pool.take()], [[0], undefined]);
    pool.ended(0);

    assert.deepEqual(told(), ["kill 0", "start 0"]);
    assert.equal(taken().holder, 0);
  });

  it("without use once gives it back as it is", () => {
    const { pool, taken, told } = poolFor({ size: 1, useOnce: false });
    pool.open();
    told();

    pool.giveBack(taken());

    assert.deepEqual(told(), []);
    assert.equal(taken().holder, 0);
  });

  it("initialises twenty at once and ten a second after that", async () => {
    const { pool, clock } = poolFor({ size: 45 });

    pool.open();

    const free = () => pool.counts.free;
    assert.equal(free(), 20);
    await clock.run(1_000);
    assert.equal(free(), 30);
    await clock.run(1_500);
    assert.equal(free(), 45);
    assert.equal(clock.pending, 0);
  });

  it("recycles thirty times while the limiter is empty: ready is exempt", () => {
    const { pool, clock, taken, times } = poolFor({ size: 1, rate: { perSecond: 0, burst: 1 } });
    pool.open();

    for (let n = 0; n < 30; n++) pool.giveBack(taken());

    assert.deepEqual([times("initialise"), times("kill"), times("start")], [1, 30, 31]);
    assert.equal(pool.counts.free, 1);
    assert.equal(clock.now(), 0);
    pool.ended(0);
    assert.equal(pool.counts.initialising, 1, "initialising is not exempt");
  });

  it("initialises a holder that dies while it is free, and does not hand it out", () => {
    const { pool, told } = poolFor({ size: 1, rate: { perSecond: 0, burst: 1 } });
    pool.open();
    told();

    pool.ended(0);

    assert.equal(pool.take(), undefined);
    assert.deepEqual(pool.counts, { initialising: 1, starting: 0, free: 0, used: 0, recycling: 0 });
  });

  it("says that a holder died in use, and takes no notice of its lease after that", () => {
    const { pool, lost, taken } = poolFor({ size: 1 });
    pool.open();
    const dead = taken();

    pool.ended(0);
    assert.deepEqual(lost, [dead]);
    const next = taken();
    pool.giveBack(dead);
    pool.discard(dead);

    assert.equal(pool.counts.used, 1);
    assert.notEqual(next, dead);
  });

  it("makes a discarded holder anew", () => {
    const { pool, lost, taken, told } = poolFor({ size: 1 });
    pool.open();
    const lease = taken();
    told();

    pool.discard(lease);

    assert.deepEqual(told(), ["initialise 0 net", "start 0"]);
    assert.deepEqual(lost, []);
  });

  it("makes a holder anew that cannot be killed, or started again", () => {
    for (const step of ["kill", "start"] as const) {
      let broken = false;
      const { pool, taken, told } = poolFor(
        { size: 1 },
        {
          [step]: (holder: number) => {
            if (broken) pool.failed(holder);
            else if (step === "kill") pool.ended(holder);
            else pool.started(holder);
          },
        },
      );
      pool.open();
      const lease = taken();
      broken = true;
      told();

      pool.giveBack(lease);

      assert.equal(pool.counts.initialising, 1, step);
      assert.equal(pool.take(), undefined, step);
    }
  });

  it("tries what fails ever more seldom, and soon again after a success", async () => {
    let works = false;
    const { pool, clock, times } = poolFor(
      { size: 1 },
      { initialise: (holder) => (works ? pool.initialised(holder) : pool.failed(holder)) },
    );
    pool.open();

    await clock.run(60_000);
    const tries = times("initialise");
    assert.ok(tries >= 8 && tries <= 14, `${tries} tries in a minute`);
    works = true;
    await clock.run(10_000);

    assert.equal(pool.counts.free, 1);
  });

  it("tries at once what failed, where it is told that it may work now", async () => {
    let works = false;
    const { pool, clock } = poolFor(
      { size: 1 },
      { initialise: (holder) => (works ? pool.initialised(holder) : pool.failed(holder)) },
    );
    pool.open();
    await clock.run(60_000);
    works = true;

    pool.retry();

    assert.equal(pool.counts.free, 1);
  });

  it("spreads holders over the networks by their free places", () => {
    const places: Record<string, number> = { a: 2, b: 5, c: 4 };
    const { pool, told } = poolFor(
      { size: 11, networks: ["a", "b", "c"] },
      { look: (network) => pool.looked(network, places[network] ?? 0) },
    );

    pool.open();

    const on = told().flatMap((line) => (line.startsWith("initialise") ? [line.split(" ")[2]] : []));
    const count = (name: string) => on.filter((each) => each === name).length;
    assert.deepEqual([count("a"), count("b"), count("c")], [2, 5, 4]);
    assert.deepEqual(on.slice(0, 1), ["b"]);
  });

  it("says once how many holders no network has a place for", async () => {
    const short: number[] = [];
    const { pool, clock } = poolFor(
      { size: 5 },
      { look: (network) => pool.looked(network, 3), short: (holders) => void short.push(holders) },
    );

    pool.open();
    await clock.run(60_000);

    assert.deepEqual(short, [2]);
    assert.equal(pool.counts.free, 3);
  });

  it("leaves out a network that is full or gone, says so once, and comes back to it", async () => {
    let full = true;
    const { pool, clock, told } = poolFor(
      { size: 6, networks: ["a", "b", "c"] },
      {
        look: (network) => pool.looked(network, network === "c" && full ? "gone" : 4),
        start: (holder) => {
          if (networkOf.get(holder) === "a" && full) pool.failed(holder, "full");
          else pool.started(holder);
        },
        initialise: (holder, network) => {
          networkOf.set(holder, network);
          pool.initialised(holder);
        },
      },
    );
    const networkOf = new Map<number, string>();

    pool.open();
    const news = (lines: string[]) => lines.filter((line) => line.startsWith("network"));
    assert.deepEqual(news(told()).sort(), ["network a full", "network c gone"]);
    assert.equal(pool.counts.free, 4);
    full = false;
    await clock.run(10_000);

    assert.deepEqual(news(told()), ["network a back", "network c back"]);
    assert.equal(pool.counts.free, 6);
  });

  it("looks again at a network that it could not look at", async () => {
    let reachable = false;
    const { pool, clock } = poolFor(
      { size: 1 },
      { look: (network) => pool.looked(network, reachable ? 10 : "unknown") },
    );
    pool.open();
    reachable = true;
    await clock.run(10_000);

    assert.equal(pool.counts.free, 1);
  });

  it("is closed when every holder is gone, those too that were being made", async () => {
    const pending: (() => void)[] = [];
    const removals: number[] = [];
    const { pool, clock, taken } = poolFor(
      { size: 3 },
      {
        start: (holder) => {
          if (holder === 2) pending.push(() => pool.started(holder));
          else pool.started(holder);
        },
        remove: (holder) => void removals.push(holder),
      },
    );
    pool.open();
    taken();
    let closed = false;

    void pool.close().then(() => (closed = true));
    assert.deepEqual(removals, [0, 1]);
    pending.shift()?.();
    pool.ended(2);
    assert.deepEqual(removals, [0, 1, 2]);
    for (const holder of [0, 1]) pool.removed(holder);
    await clock.settle();
    assert.equal(closed, false);
    pool.removed(2);
    await clock.settle();

    assert.equal(closed, true);
    assert.equal(pool.take(), undefined);
    assert.equal(clock.pending, 0);
  });
});
