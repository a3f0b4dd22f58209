import type { JsonValue } from "../../core/call.ts";
import type { AppSpec } from "../../core/function-spec.ts";
import type { TriggerLookup } from "../../gateway/functions/functions.ts";
import type { Trigger } from "../../gateway/store/store.ts";
import { functionFor } from "./fake-functions.ts";

/** A trigger of the function `hello` in `functionFor`'s app, named for its source. */
export function triggerFor(source: string, annotations: Readonly<Record<string, JsonValue>> = {}): Trigger {
  return { id: `id of ${source}`, appId: "app-1", fnId: "hello", name: source, type: "http", source, annotations };
}

/** Knows the triggers it is given, of `functionFor`'s app. */
export class FakeTriggers implements TriggerLookup {
  readonly #app = functionFor("hello").app;
  readonly #triggers: readonly Trigger[];

  constructor(...triggers: readonly Trigger[]) {
    this.#triggers = triggers;
  }

  appByName(name: string): Promise<AppSpec | undefined> {
    return Promise.resolve(name === this.#app.name ? this.#app : undefined);
  }

  triggersOf(): Promise<readonly Trigger[]> {
    return Promise.resolve(this.#triggers);
  }
}
