import type { Call } from "../../core/call.ts";
import type { Chance } from "../fleet/chance.ts";
import { callFor } from "../testing/call-for.ts";

/** Functions of many tenants, a few of which get most of the calls. */
export interface Tenants {
  /** Each is called once, and then the kth gets a share of 1/k^exponent. */
  call(): Call;
  /** Functions that were called so far. */
  readonly called: number;
}

/** How the calls of a function are, and how it is declared; functions take turns at these. */
const KINDS: readonly Partial<Call>[] = [
  {},
  { onCancel: "finish" },
  { concurrency: 4 },
  { maxCalls: 40 },
  { maxContainers: 2 },
  {},
  { tmpfsMiB: 16 },
  {},
];

export function tenants(image: string, functions: number, exponent: number, chance: Chance): Tenants {
  const shares = Array.from({ length: functions }, (_, k) => (k + 1) ** -exponent);
  const all = shares.reduce((sum, share) => sum + share, 0);
  const called = new Set<number>();
  const pick = (): number => {
    let rest = chance.next() * all;
    return shares.findIndex((share) => (rest -= share) < 0);
  };
  return {
    get called() {
      return called.size;
    },
    call() {
      const which = called.size < functions ? called.size : Math.max(0, pick());
      called.add(which);
      const fnId = `tenant-${which}`;
      const minContainers = which === 3 ? 1 : 0;
      const headers = [["Probe-Control", JSON.stringify(order(chance))] as const];
      return callFor(image, {
        fnId,
        fnName: fnId,
        timeoutMs: 5_000,
        ...KINDS[which % KINDS.length],
        minContainers,
        headers,
      });
    },
  };
}

/** Most calls answer soon; some take their time, fail, or take their container with them. */
function order(chance: Chance): Readonly<Record<string, unknown>> {
  if (chance.happens(0.003)) return { isCrash: true };
  if (chance.happens(0.003)) return { stderr: ["about to fall"], breakAt: "beforeHead", breakHow: "exit", exitCode: 7 };
  if (chance.happens(0.1)) return { sleepTime: chance.below(400) };
  return { sleepTime: chance.below(5), isEmptyBody: chance.happens(0.1) };
}
