import type { Metrics } from "../../../../core/metrics.ts";
import type { NetworkTrouble } from "../networks/network-trouble.ts";
import type { HolderState } from "./pool-contract.ts";

/** How a container got its network: from a holder, or on the plain path since none was free, or for its options. */
export type TakeOutcome = "holder" | "empty" | "options";

export interface PreforkMetrics {
  took(outcome: TakeOutcome): void;
  recycled(): void;
  networkTrouble(network: string, trouble: NetworkTrouble): void;
  moved(from: HolderState, to: HolderState): void;
}

export function preforkMetrics(metrics: Metrics, size: number): PreforkMetrics {
  const takes = metrics.counter("fn_prefork_takes", "Containers by how they got their network: holder, empty, options");
  const recycles = metrics.counter("fn_prefork_recycles", "Used holders that were killed and started again");
  const troubles = metrics.counter("fn_prefork_network_troubles", "Networks left out for being full or gone");
  const holders = metrics.gauge("fn_prefork_holders", "Holders by state");
  holders.set(size, { state: "waiting" });
  return {
    took: (outcome) => takes.add(1, { outcome }),
    recycled: () => recycles.add(),
    networkTrouble: (network, trouble) => troubles.add(1, { network, trouble }),
    moved(from, to) {
      holders.add(-1, { state: from });
      holders.add(1, { state: to });
    },
  };
}
