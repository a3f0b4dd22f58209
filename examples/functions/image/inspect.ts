import type { Docker } from "../../../runner/driver/docker/engine.ts";

/** The label that says what an image was built from, and that it is ours to replace. */
export const hashLabel = "kiln.example.hash";

/** Whether the tag names an image built from exactly this content. */
export async function isBuilt(docker: Docker, image: { tag: string; hash: string }): Promise<boolean> {
  try {
    const found = await docker.getImage(image.tag).inspect();
    return found.Config.Labels?.[hashLabel] === image.hash;
  } catch (reason) {
    if (hasStatus(reason, 404)) return false;
    throw reason;
  }
}

/** Removes what earlier builds left without a tag. One still in use stays until a later build. */
export async function removeReplaced(docker: Docker): Promise<void> {
  const filters = { dangling: ["true"], label: [hashLabel] };
  for (const { Id } of await docker.listImages({ filters })) {
    await docker.getImage(Id).remove().catch(unless(404, 409));
  }
}

/** A rejection handler that forgives the given HTTP statuses of the Engine. */
export function unless(...statuses: number[]): (reason: unknown) => void {
  return (reason) => {
    if (!statuses.some((status) => hasStatus(reason, status))) throw reason;
  };
}

function hasStatus(reason: unknown, status: number): boolean {
  return reason instanceof Error && "statusCode" in reason && reason.statusCode === status;
}
