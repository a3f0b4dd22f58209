import { CallError } from "../../../../core/call-error.ts";
import { imageOrigin, type ImageDescription } from "./image-origin.ts";
import { parseImage } from "./image-reference.ts";
import { credentialsKey, type ImageRights } from "./image-rights.ts";
import type { RegistryAuths, RegistryCredentials } from "./registry-auths.ts";
import type { Registry } from "./registry.ts";

export interface ImageRequest {
  readonly image: string;
  readonly appName: string;
  /** The call's own for the registry that the image's name names, or empty. Goes before all that is configured. */
  readonly registryToken: string;
}

/** Who may use an image that is on the machine. */
export interface ImageAccess {
  /** What is shown to the registry that a name or reference names. */
  credentials(request: ImageRequest, reference?: string): RegistryCredentials | undefined;
  /** Equal for requests that are answered alike. Holds no secret. */
  key(request: ImageRequest): string;
  /** Whether it is known already that they may. */
  isKnown(request: ImageRequest, image: ImageDescription): boolean;
  /** Asks the registries that have it. @throws CallError where none says yes, and one says nothing */
  prove(request: ImageRequest, image: ImageDescription, signal: AbortSignal): Promise<boolean>;
}

export function createImageAccess(auths: RegistryAuths, rights: ImageRights, registry: Registry): ImageAccess {
  const credentials = ({ image, appName, registryToken }: ImageRequest, reference = image) => {
    const read = parseImage(reference);
    // A token is for one registry, whatever else the image has been tagged with.
    if (registryToken !== "" && read.registry === parseImage(image).registry) return { registrytoken: registryToken };
    return auths.find(read, appName);
  };

  const references = (image: ImageDescription, name: string): readonly string[] => {
    const origin = imageOrigin(image, name);
    return origin.kind === "local" ? [] : origin.references;
  };

  return {
    credentials,
    key: (request) => {
      const whose = auths.hasOwn(request.appName) ? request.appName : "";
      return JSON.stringify([request.image, credentialsKey(credentials(request)), whose]);
    },
    isKnown: (request, image) =>
      [request.image, ...references(image, request.image)].some((reference) =>
        rights.has(credentials(request, reference), image.Id),
      ),
    async prove(request, image, signal) {
      let trouble: CallError | undefined;
      for (const reference of references(image, request.image)) {
        const shown = credentials(request, reference);
        try {
          if (!(await registry.mayPull(reference, shown, signal))) continue;
          rights.grant(shown, image.Id);
          return true;
        } catch (error) {
          if (signal.aborted) throw error;
          trouble ??= CallError.from(error, "image_pull_failed");
        }
      }
      if (trouble !== undefined) throw trouble;
      return false;
    },
  };
}
