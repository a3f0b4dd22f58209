import { toJson } from "@bufbuild/protobuf";

import { StatusResponseSchema } from "../../gen/kiln/runner/v1/runner_pb.ts";
import type { Write } from "../command.ts";
import { connectRunner, connectUsage, readRunnerArgs } from "./connect.ts";

export const statusUsage = `npm run kiln -- status [RUNNER] [--body JSON]

  Prints how a runner is, as JSON, and runs its operator's checks. The exit code is 1 where they fail.
${connectUsage}  --body   for the runner's status image
`;

/** @returns the exit code @throws Error if the runner cannot be asked */
export async function status(args: readonly string[], directory: string, write: Write): Promise<number> {
  const read = readRunnerArgs(args, { body: { type: "string", default: "" } }, directory);
  using runner = await connectRunner(read);
  const found = await runner.client.status({ body: Buffer.from(String(read.values["body"])) });
  write(
    `${JSON.stringify(readable(toJson(StatusResponseSchema, found, { alwaysEmitImplicit: true })), undefined, 2)}\n`,
  );
  return found.check?.failed === true ? 1 : 0;
}

/** With the status image's answer as text, which is bytes on the wire. */
function readable<Json>(json: Json): Json {
  if (typeof json !== "object" || json === null || !("check" in json)) return json;
  const { check } = json as { readonly check: { readonly details: string } };
  return { ...json, check: { ...check, details: Buffer.from(check.details, "base64").toString() } };
}
