import { engineCall, type EngineClient } from "./engine-call.ts";

export interface EngineInfo {
  readonly Architecture: string;
  /** By the names that containers choose them by. */
  readonly Runtimes?: Readonly<Record<string, unknown>>;
}

/** @throws CallError */
export async function engineInfo(client: EngineClient): Promise<EngineInfo> {
  const { docker } = client;
  // Dockerode takes options here and its types do not say so; `bind` picks the signature they fit.
  const info: (options: { abortSignal: AbortSignal }) => Promise<EngineInfo> = docker.info.bind(docker);
  return engineCall(client, "describe itself", (abortSignal) => info({ abortSignal }));
}
