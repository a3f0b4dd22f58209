/** What Fn's API computes for its answers. Kept, they would give every gateway containers of its own. */
export const INVOKE_ENDPOINT = "fnproject.io/fn/invokeEndpoint";
export const TRIGGER_ENDPOINT = "fnproject.io/trigger/httpEndpoint";

export function isComputedAnnotation(key: string): boolean {
  return key === INVOKE_ENDPOINT || key === TRIGGER_ENDPOINT;
}
