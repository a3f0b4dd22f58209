import type { PkiData, PkiSource } from "../../core/pki.ts";
import type { RunnerFactory } from "./mtls-runner.ts";
import type { Runner, RunnerLabels, RunnerPool } from "./runnerpool.ts";

export interface RunnerAddress {
  /** `host:port`. */
  readonly address: string;
  /** The name its certificate must carry. */
  readonly certCommonName: string;
  /** What calls may choose it by; none, unless told. */
  readonly labels?: RunnerLabels;
}

/** A pool whose members do not change. */
export interface FixedPool extends RunnerPool {
  /** Ready while one of its runners can be reached. */
  readiness(): { readonly ready: boolean; readonly detail: string };
}

/** A pool of the listed runners, made by `factory`, in the order of the list. */
export function staticPool(
  addresses: readonly RunnerAddress[],
  pki: PkiData | PkiSource,
  factory: RunnerFactory,
): FixedPool {
  return poolOf(
    addresses.map(({ address, certCommonName, labels = {} }) => factory(address, certCommonName, pki, labels)),
  );
}

/** A pool of these runners, which it owns. */
export function poolOf(runners: readonly Runner[]): FixedPool {
  return {
    readiness() {
      const connected = runners.filter((runner) => runner.connected).length;
      return { ready: connected > 0, detail: `${connected} of ${runners.length} runners connected` };
    },
    runners: () => Promise.resolve(runners),
    onCapacity(hear) {
      const leave = runners.map((runner) => runner.onCapacity(hear));
      return () => leave.forEach((unsubscribe) => unsubscribe());
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(runners.map((runner) => runner[Symbol.asyncDispose]()));
    },
  };
}

/** Reads `host:port` or `name=host:port`. @throws Error naming the text and what was expected */
export function parseRunnerAddress(text: string, defaultName: string): RunnerAddress {
  const match = /^(?:([^=\s]+)=)?(\[[\da-fA-F:]+\]|[^:\s=]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match?.[2] === undefined || port < 1 || port > 65_535) {
    throw new Error(`Cannot use runner address "${text}": expected host:port or name=host:port`);
  }
  return { address: `${match[2]}:${port}`, certCommonName: match[1] ?? defaultName };
}
