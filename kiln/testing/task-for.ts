import type { Call } from "../../core/call.ts";
import { type ContainerTask, containerTask } from "../../core/container-task.ts";
import type { ExampleName } from "../../examples/functions/build.ts";
import { callFor } from "./call-for.ts";

/** The container of an example function, as a call with these fields would ask for it: `config` is its environment. */
export function taskFor(example: ExampleName, changes: Partial<Call> = {}): ContainerTask {
  return containerTask(callFor(`kiln-example-${example}:latest`, changes));
}
