import { DEFAULTS, type AppSpec, type FunctionSpec } from "../../core/function-spec.ts";
import type { FoundFunction, FunctionLookup } from "../../gateway/functions/functions.ts";

/** A function with defaults for what a test does not care about. */
export function functionFor(id: string, fn: Partial<FunctionSpec> = {}, app: Partial<AppSpec> = {}): FoundFunction {
  const owner: AppSpec = { id: "app-1", name: "app", config: {}, annotations: {}, syslogUrl: "", ...app };
  return {
    app: owner,
    fn: { ...DEFAULTS, id, appId: owner.id, name: id, image: `${id}:1`, config: {}, annotations: {}, ...fn },
  };
}

/** Knows the functions it is given. */
export class FakeFunctions implements FunctionLookup {
  readonly #byId: ReadonlyMap<string, FoundFunction>;

  constructor(...found: readonly FoundFunction[]) {
    this.#byId = new Map(found.map((one) => [one.fn.id, one]));
  }

  find(fnId: string): Promise<FoundFunction | undefined> {
    return Promise.resolve(this.#byId.get(fnId));
  }
}
