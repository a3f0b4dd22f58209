import type { ContainerTask } from "../../core/container-task.ts";
import type { OptionSources } from "../../runner/driver/docker/container-options.ts";
import { DEFAULT_SANDBOX, type Sandbox } from "../../runner/driver/docker/sandbox.ts";
import { taskFor } from "./task-for.ts";

/** What a container's options are built from, without a container: a call of the example function `hello`. */
export function optionSources(
  changes: {
    readonly task?: Partial<ContainerTask>;
    readonly sandbox?: Partial<Sandbox>;
    readonly network?: string;
  } = {},
): OptionSources {
  return {
    task: { ...taskFor("hello"), ...changes.task },
    place: { id: "kiln-1", socketDirectory: "/run/kiln/kiln-1" },
    sandbox: { ...DEFAULT_SANDBOX, ...changes.sandbox },
    installation: { id: "here", runnerId: "r1", bootId: "b1" },
    network: changes.network ?? "",
  };
}
