import type { MetricFamily, Sample } from "../metrics.ts";

/** Of one process by their nature, and by Prometheus' convention for names. */
const PER_PROCESS = /^process_/;

/**
 * The metrics of several workers as those of one service: all are summed, but those of a process, which are told apart
 * by the label `worker`. What was told of a count stays in the sum when its worker is gone, so that no sum goes back.
 */
export class MetricsSum {
  readonly #told = new Map<string, readonly MetricFamily[]>();
  #gone: readonly MetricFamily[] = [];

  /** What a worker counts now. */
  tell(worker: string, families: readonly MetricFamily[]): void {
    this.#told.set(worker, families);
  }

  /** Another one takes the worker's place, and counts from 0. */
  left(worker: string): void {
    const counts = (this.#told.get(worker) ?? []).filter(
      ({ name, type }) => type !== "gauge" && !PER_PROCESS.test(name),
    );
    this.#told.delete(worker);
    this.#gone = sum([this.#gone, counts]);
  }

  total(): readonly MetricFamily[] {
    const labelled = [...this.#told].map(([worker, families]) => families.map((family) => toldApart(family, worker)));
    return sum([...labelled, this.#gone]);
  }
}

function sum(parts: readonly (readonly MetricFamily[])[]): readonly MetricFamily[] {
  const families = new Map<string, MetricFamily & { readonly values: Map<string, number> }>();
  for (const family of parts.flat()) {
    let one = families.get(family.name);
    if (one === undefined) families.set(family.name, (one = { ...family, values: new Map() }));
    for (const [series, value] of family.samples) one.values.set(series, (one.values.get(series) ?? 0) + value);
  }
  return [...families.values()].map(({ values, ...family }) => ({ ...family, samples: [...values] }));
}

function toldApart(family: MetricFamily, worker: string): MetricFamily {
  if (!PER_PROCESS.test(family.name)) return family;
  const label = `worker="${worker}"`;
  const samples = family.samples.map(([series, value]): Sample => {
    const labels = series.endsWith("}") ? series.replace(/\}$/, `,${label}}`) : `${series}{${label}}`;
    return [labels, value];
  });
  return { ...family, samples };
}
