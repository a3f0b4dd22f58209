import { z } from "zod";

import { parseYaml } from "../../yaml-file.ts";
import { parseRunnerAddress, type RunnerAddress } from "../static-pool.ts";

const fields = {
  address: z.string({ error: "expected host:port" }),
  certName: z.string({ error: "expected the name in the runner's certificate" }).min(1).optional(),
  labels: z.record(z.string(), z.string({ error: "expected a string" })).default({}),
};
const schema = z.strictObject({ runners: z.array(z.strictObject(fields), { error: "expected a list of runners" }) });

/**
 * Reads a file of runners: `runners`, a list of `address`, `certName` and `labels`. JSON is YAML too.
 * @throws Error with one line per fault: file, line, path, what is there and what was expected
 */
export function parseRunners(text: string, file: string, defaultName: string): RunnerAddress[] {
  const { runners } = parseYaml(text, file, schema, (path) => (path.length === 0 ? ["runners"] : Object.keys(fields)));
  return runners.map(({ address, certName, labels }, index) => {
    try {
      return { address: parseRunnerAddress(address, "").address, certCommonName: certName ?? defaultName, labels };
    } catch {
      throw new Error(`${file}: runners[${index}].address is "${address}", expected host:port`);
    }
  });
}
