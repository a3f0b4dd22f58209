import { newCallId, type Call } from "../../core/call.ts";
import { DEFAULTS } from "../../core/function-spec.ts";

/** A call with defaults for what a test does not care about. */
export function callFor(image: string, changes: Partial<Call> = {}): Call {
  return {
    ...DEFAULTS,
    id: newCallId(),
    type: "sync",
    appId: "app",
    appName: "app",
    fnId: image,
    fnName: image,
    image,
    config: {},
    annotations: {},
    syslogUrl: "",
    networkDisabled: false,
    method: "POST",
    url: `http://localhost/invoke/${image}`,
    headers: [],
    extensions: {},
    callExtensions: {},
    registryToken: "",
    ...changes,
  };
}
