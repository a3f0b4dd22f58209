import { request, type Agent, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import type { Chance } from "../fleet/chance.ts";
import type { Orders } from "../testing/probe-calls.ts";

/** How a call ended: its status, `reset` after its first byte or before it, `left` where its client went. */
export type Ending = `${number}` | "reset" | "left";

export const FUNCTIONS = ["one", "two", "three"] as const;
export const TIMEOUT_S = 2;

const SIZES = [0, 200, 20_000, 300_000, 2_000_000];

interface Plan {
  readonly fnId: string;
  readonly orders: Orders;
  readonly bytes: number;
  /** Undefined for a client that stays. */
  readonly leavesAfterMs: number | undefined;
  readonly readsSlowly: boolean;
}

/** One call of whatever kind chance chooses: sizes both ways, slow ends, functions that die or run too long, leavers. */
export function soakCall(url: string, agent: Agent, chance: Chance): Promise<Ending> {
  const plan: Plan = {
    fnId: chance.pick(FUNCTIONS),
    orders: ordersOf(chance),
    bytes: chance.pick(SIZES),
    leavesAfterMs: chance.happens(0.1) ? chance.below(300) : undefined,
    readsSlowly: chance.happens(0.05),
  };
  return call(`${url}/invoke/${plan.fnId}`, agent, plan);
}

function ordersOf(chance: Chance): Orders {
  const roll = chance.below(100);
  if (roll < 40) return { echo: true };
  if (roll < 60) return { outputBytes: chance.pick(SIZES) };
  if (roll < 85) return {};
  if (roll < 95) return { sleepTime: chance.below(200) };
  if (roll < 97) return { isExit: true };
  if (roll < 98) return { breakAt: "midBody", outputBytes: 200_000 };
  if (roll < 99) return { readBody: "never" };
  return { sleepTime: TIMEOUT_S * 2_000 };
}

function call(target: string, agent: Agent, { orders, bytes, leavesAfterMs, readsSlowly }: Plan): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const sent = request(target, { method: "POST", agent, headers: { "probe-control": JSON.stringify(orders) } });
  let left = false;
  const leave = () => {
    left = true;
    sent.destroy();
  };
  const leaving = leavesAfterMs === undefined ? undefined : setTimeout(leave, leavesAfterMs);
  const end = (ending: Ending) => {
    clearTimeout(leaving);
    resolve(left ? "left" : ending);
  };
  sent.on("error", () => end("reset"));
  sent.on("response", (answer) => {
    void readAll(answer, readsSlowly).then(
      () => end(`${answer.statusCode ?? 0}`),
      () => end("reset"),
    );
  });
  sent.end(Buffer.alloc(bytes));
  return promise;
}

async function readAll(answer: IncomingMessage, slowly: boolean): Promise<void> {
  for await (const _bytes of answer) if (slowly) await sleep(5);
}
