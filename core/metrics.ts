/** Label values of one time series, by label name. */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(amount?: number, labels?: Labels): void;
}
export interface Gauge {
  set(value: number, labels?: Labels): void;
  add(amount: number, labels?: Labels): void;
}
export interface Histogram {
  observe(value: number, labels?: Labels): void;
  /** Observes values of these labels, which are read once: they take longer than the value. */
  of(labels: Labels): (value: number) => void;
}

export type ReadValues = () => Iterable<readonly [value: number, labels?: Labels]>;

/** A time series as the text format names it, with its labels, and its value. */
export type Sample = readonly [series: string, value: number];

/** All time series of one name, as they are now. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

/** Where a process counts; `render()` is the Prometheus text format, version 0.0.4. */
export interface Metrics {
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  /** Values that are not kept: they are read each time they are asked for. */
  read(name: string, help: string, values: ReadValues, type?: "gauge" | "counter"): void;
  histogram(name: string, help: string, buckets?: readonly number[]): Histogram;
  collect(): readonly MetricFamily[];
  render(): string;
}

/** Bucket edges of Fn's stock binary, in milliseconds. */
const LATENCY_BUCKETS_MS = [1, 10, 50, 100, 250, 500, 1_000, 10_000, 60_000, 120_000];

export function createMetrics(): Metrics {
  const families = new Map<string, Omit<MetricFamily, "samples"> & { samples(): Iterable<Sample> }>();

  const numbers = (name: string, help: string, type: "counter" | "gauge") => {
    const values = new Map<string, number>();
    families.set(name, {
      name,
      help,
      type,
      *samples() {
        for (const [labels, value] of values) yield [`${name}${labels}`, value];
      },
    });
    return values;
  };

  const collect = () => [...families.values()].map((family) => ({ ...family, samples: [...family.samples()] }));

  return {
    counter(name, help) {
      const values = numbers(name, help, "counter");
      return { add: (amount = 1, labels) => bump(values, key(labels), amount) };
    },
    gauge(name, help) {
      const values = numbers(name, help, "gauge");
      return {
        set: (value, labels) => void values.set(key(labels), value),
        add: (amount, labels) => bump(values, key(labels), amount),
      };
    },
    read(name, help, values, type = "gauge") {
      families.set(name, {
        name,
        help,
        type,
        *samples() {
          for (const [value, labels] of values()) yield [`${name}${key(labels)}`, value];
        },
      });
    },
    histogram(name, help, buckets = LATENCY_BUCKETS_MS) {
      const series = new Map<string, Series>();
      families.set(name, {
        name,
        help,
        type: "histogram",
        *samples() {
          for (const { counts, sum, count, labels } of series.values()) {
            for (const [i, edge] of buckets.entries()) {
              yield [`${name}_bucket${key({ ...labels, le: String(edge) })}`, counts[i] ?? 0];
            }
            yield [`${name}_bucket${key({ ...labels, le: "+Inf" })}`, count];
            yield [`${name}_sum${key(labels)}`, sum];
            yield [`${name}_count${key(labels)}`, count];
          }
        },
      });
      const seriesOf = (labels: Labels): Series => {
        const id = key(labels);
        let one = series.get(id);
        if (one === undefined) series.set(id, (one = { counts: buckets.map(() => 0), sum: 0, count: 0, labels }));
        return one;
      };
      return {
        observe: (value, labels = {}) => count(seriesOf(labels), buckets, value),
        of(labels) {
          const one = seriesOf(labels);
          return (value) => count(one, buckets, value);
        },
      };
    },
    collect,
    render: () => renderMetrics(collect()),
  };
}

/** The Prometheus text format, version 0.0.4. */
export function renderMetrics(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const { name, help, type, samples } of families) {
    lines.push(`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`);
    for (const [series, value] of samples) lines.push(`${series} ${value}`);
  }
  return `${lines.join("\n")}\n`;
}

/** What was observed of the same labels. */
interface Series {
  /** By bucket, each with what the smaller ones have. */
  readonly counts: number[];
  sum: number;
  count: number;
  readonly labels: Labels;
}

function count(one: Series, buckets: readonly number[], value: number): void {
  one.sum += value;
  one.count += 1;
  for (let i = 0; i < buckets.length; i++) if (value <= (buckets[i] ?? 0)) one.counts[i] = (one.counts[i] ?? 0) + 1;
}

function bump(values: Map<string, number>, id: string, amount: number): void {
  values.set(id, (values.get(id) ?? 0) + amount);
}

function key(labels: Labels | undefined): string {
  let text = "";
  for (const name in labels) text += `${text === "" ? "" : ","}${name}="${quoted(labels[name] ?? "")}"`;
  return text === "" ? "" : `{${text}}`;
}

function quoted(value: string): string {
  // Nearly all values are plain, and this is asked for every call.
  return /["\\\n]/.test(value) ? escaped(value).replaceAll('"', '\\"') : value;
}

/** The format knows these escapes and no others. */
function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
