import type { Candidate, Need } from "../../gateway/runnerpool/placers/candidate.ts";
import { RunnerView } from "../../gateway/runnerpool/placers/runner-view.ts";
import { FakeRunner } from "./fake-runner.ts";

export interface CandidateFacts {
  readonly usable?: boolean;
  readonly freeMemoryMiB?: number;
  readonly totalMemoryMiB?: number;
  readonly inFlight?: number;
  readonly idle?: Readonly<Record<string, number>>;
}

/** A need for one container of 128 MiB. */
export function needFor(affinityKey: string, changes: Partial<Need> = {}): Need {
  return { fnId: affinityKey, affinityKey, memoryMiB: 128, cpuMillis: 0, concurrency: 1, ...changes };
}

/** A runner as placers see it, with a GiB of free memory where a test does not care. */
export function candidateFor(address: string, facts: CandidateFacts = {}): Candidate {
  const { usable = true, totalMemoryMiB = 1_024, freeMemoryMiB = totalMemoryMiB, inFlight = 0, idle = {} } = facts;
  const runner = new FakeRunner(address);
  runner.connected = usable;
  runner.inFlight = inFlight;
  runner.tell({ freeMemoryMiB, totalMemoryMiB, idle });
  return new RunnerView(runner);
}
