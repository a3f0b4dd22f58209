import { z } from "zod";

import type { ApiClient } from "../../gateway/api-client/api-client.ts";
import type { Step } from "./plan.ts";

const refusal = z.object({ message: z.string() });

/** Does what a step says, or tells why the server refused it. @throws ApiFailure where it did not answer */
export async function applyStep(client: ApiClient, step: Step): Promise<string | undefined> {
  const { item } = step;
  if (step.change === "same" || step.change === "conflict") return undefined;
  const path = `${item.kind}s/${encodeURIComponent(item.id)}`;
  const { status, body } =
    step.change === "create"
      ? await client.request({ path, method: "PUT", headers: { "if-none-match": "*" }, body: item.fields })
      : await client.request({ path, method: "PATCH", body: step.body });
  if (status === 200) return undefined;
  if (step.change === "create" && status === 404 && item.kind === "app") {
    return "the server keeps no ids: it is no Kiln, or an older one";
  }
  return refusal.safeParse(body).data?.message ?? `it answered ${status}`;
}
