import * as kiln from "../../core/extension.ts";
import { functions, loadPolicyFile } from "../../core/policy-file.ts";

/**
 * Loads policy files in a runtime of its own: `print-policy.ts NAME,NAME FILE...`. Prints a line of JSON per file:
 * what its functions return when they are given Kiln's own module, or why it does not load.
 */
const [names = "", ...files] = process.argv.slice(2);
const shape = Object.fromEntries(names.split(",").map((name) => [name, functions<(own: typeof kiln) => unknown>()]));

async function report(file: string): Promise<object> {
  try {
    const lists = Object.entries(await loadPolicyFile(file, shape));
    return { file, returned: Object.fromEntries(lists.map(([name, list]) => [name, list.map((run) => run(kiln))])) };
  } catch (error) {
    return { file, error: error instanceof Error ? error.message : String(error) };
  }
}

for (const file of files) process.stdout.write(`${JSON.stringify(await report(file))}\n`);
