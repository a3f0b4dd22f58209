/** What the API computes for its answers. Kept, they would give every gateway containers of its own. */
export const INVOKE_ENDPOINT = "fnproject.io/fn/invokeEndpoint";
export const TRIGGER_ENDPOINT = "fnproject.io/trigger/httpEndpoint";
export const NEXT_RUN = "kiln/next-run";

const COMPUTED: readonly string[] = [INVOKE_ENDPOINT, TRIGGER_ENDPOINT, NEXT_RUN];

export function isComputedAnnotation(key: string): boolean {
  return COMPUTED.includes(key);
}
