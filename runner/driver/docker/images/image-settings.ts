import type { Settings } from "../../../../core/config.ts";
import { isLoopback } from "../../../../core/loopback.ts";
import type { RUNNER_SETTINGS } from "../../../settings.ts";
import type { ImageOptions } from "./images.ts";
import type { RegistryAuths } from "./registry-auths.ts";

/** What the settings say of images. */
export function imageOptions(
  settings: Settings<typeof RUNNER_SETTINGS>,
  auths: RegistryAuths,
  everybodys: ReadonlySet<string>,
): ImageOptions {
  const allowLocal = settings.FN_ALLOW_LOCAL_IMAGES;
  const minDelayMs = settings.FN_IMAGE_PULL_RETRY_MIN_MSECS;
  const maxBytes = settings.FN_IMAGE_CLEAN_MAX_SIZE;
  return {
    auths,
    everybodys,
    pullTimeoutMs: settings.FN_HOT_PULL_TIMEOUT_MSECS,
    allowVolumes: settings.FN_IMAGE_ENABLE_VOLUME,
    allowLocal: allowLocal === "auto" ? isLoopback(settings.FN_BIND) : allowLocal === "true",
    rightMs: settings.FN_IMAGE_RIGHT_MSECS,
    refusalMs: settings.FN_IMAGE_REFUSAL_MSECS,
    pullsAtOnce: settings.FN_MAX_CONCURRENT_PULLS,
    retries: {
      retries: settings.FN_IMAGE_PULL_RETRIES,
      minDelayMs,
      stepMs: minDelayMs,
      maxDelayMs: Math.max(minDelayMs, settings.FN_IMAGE_PULL_RETRY_MAX_MSECS),
      on: settings.FN_IMAGE_PULL_RETRY_ON,
    },
    cleaning: maxBytes === 0 ? undefined : { maxBytes, exemptTags: exemptTags(settings) },
  };
}

/** The holders' image too: between two of them, nothing may be using it. */
function exemptTags(settings: Settings<typeof RUNNER_SETTINGS>): readonly string[] {
  const { FN_IMAGE_CLEAN_EXEMPT_TAGS: tags, FN_EXPERIMENTAL_PREFORK_IMAGE: holders } = settings;
  return holders === "" ? tags : [...tags, holders];
}
