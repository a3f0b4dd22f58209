import type { RunnerAddress } from "../static-pool.ts";
import { dnsSource, type DnsOptions } from "./dns-source.ts";
import { fileSource } from "./file-source.ts";
import { fixedSource, type RunnerSource } from "./runner-source.ts";
import { parseRunnerWord } from "./runner-words.ts";

export interface SourcesOptions {
  /** What certificates must carry where nothing else is said. */
  readonly certName: string;
  readonly dns: DnsOptions;
}

/** One source of all that `FN_RUNNER_ADDRESSES` names. @throws Error naming a word, or a file with its line */
export async function runnerSources(words: readonly string[], options: SourcesOptions): Promise<RunnerSource> {
  const { certName, dns } = options;
  const read = words.map((word) => parseRunnerWord(word, certName));
  await using made = new AsyncDisposableStack();
  const fixed: RunnerAddress[] = [];
  const sources: RunnerSource[] = [];
  for (const word of read) {
    if (word.kind === "runner") fixed.push(word.runner);
    else if (word.kind === "file") sources.push(made.use(await fileSource(word.path, { ...dns, certName })));
    else sources.push(made.use(await dnsSource(word, dns)));
  }
  const all = [fixedSource(fixed), ...sources];
  const owned = made.move();
  return {
    get runners() {
      return all.flatMap(({ runners }) => runners);
    },
    onChange(changed) {
      const leave = all.map((source) => source.onChange(changed));
      return () => leave.forEach((unsubscribe) => unsubscribe());
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
