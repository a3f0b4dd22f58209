import type { Clock } from "../../../core/clock.ts";
import type { Readiness } from "../../../core/readiness.ts";
import { pingEngine, type Docker } from "./engine.ts";

const PING_MS = 2_000;
/** However often it is asked for, Docker is asked no oftener. */
const KEPT_MS = 1_000;

/** Asks Docker whether it is there, once for all who ask at the same time. */
export function engineReadiness(docker: Docker, host: string, clock: Clock): () => Promise<Readiness> {
  let known: { readonly state: Promise<Readiness>; until: number } | undefined;

  const ask = async (): Promise<Readiness> => {
    const version = await pingEngine(docker, PING_MS);
    if (version !== undefined) return { ready: true, detail: `Docker ${version} answers` };
    return { ready: false, detail: `Docker does not answer at ${host} within ${PING_MS} ms` };
  };

  return () => {
    if (known !== undefined && clock.now() < known.until) return known.state;
    const asked = { state: ask(), until: Infinity };
    known = asked;
    void asked.state.then(() => (asked.until = clock.now() + KEPT_MS));
    return asked.state;
  };
}
