import { isHub, parseImage } from "./image-reference.ts";

/** What the Engine says of an image that is on its machine; `Identity` since API 1.53. */
export interface ImageDescription {
  readonly Id: string;
  readonly RepoTags?: readonly string[] | null;
  readonly RepoDigests?: readonly string[] | null;
  readonly Size?: number;
  readonly Config?: { readonly Volumes?: Readonly<Record<string, unknown>> | null } | null;
  readonly Identity?: { readonly Pull?: readonly { readonly Repository?: string }[] | null } | null;
}

/** Where an image came from: this machine alone, or registries, in which it has these names with digests. */
export type ImageOrigin =
  | { readonly kind: "local" }
  | { readonly kind: "registry"; readonly references: readonly string[] }
  /** The Engine does not tell the one from the other. */
  | { readonly kind: "unsure"; readonly references: readonly string[] };

/** Whom to ask about an image, at most: an image may have been tagged for many registries. */
const MOST_REFERENCES = 4;

/** @param name as it is asked for: its own repository is the first to be asked */
export function imageOrigin(image: ImageDescription, name: string): ImageOrigin {
  const digests = image.RepoDigests ?? [];
  if (image.Identity) {
    const pulled = (image.Identity.Pull ?? []).flatMap(({ Repository = "" }) =>
      Repository === "" ? [] : [Repository],
    );
    if (pulled.length === 0) return { kind: "local" };
    const own = digests.filter((digest) => pulled.some((repository) => isSameRepository(digest, repository)));
    const references = own.length > 0 ? own : pulled.map((repository) => `${repository}@${image.Id}`);
    return { kind: "registry", references: inOrder(references, name) };
  }
  if (digests.length === 0) return { kind: "local" };
  // Docker's containerd image store gives what was built here a digest too, which is the image's id.
  const kind = digests.some((digest) => digest.endsWith(`@${image.Id}`)) ? "unsure" : "registry";
  return { kind, references: inOrder(digests, name) };
}

function inOrder(references: readonly string[], name: string): readonly string[] {
  const isOwn = (reference: string) => Number(isSameRepository(reference, name));
  return references.toSorted((a, b) => isOwn(b) - isOwn(a)).slice(0, MOST_REFERENCES);
}

function isSameRepository(one: string, other: string): boolean {
  const [a, b] = [parseImage(one), parseImage(other)];
  return a.repository === b.repository && (a.registry === b.registry || (isHub(a.registry) && isHub(b.registry)));
}
